import { Worker } from 'node:worker_threads'

const file = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js'

/**
 * Starts the thread that will hold the database; it opens none before it is told which. Loading its program takes as long as loading the server's: started
 * first, it does so meanwhile. It keeps no process alive; `openSqliteDatastore` takes it over.
 */
export function startDatastoreThread(): Worker {
  const worker = new Worker(new URL(file, import.meta.url), {
    name: 'datastore',
    // Its garbage is short-lived: a large nursery would only hold memory.
    resourceLimits: { maxYoungGenerationSizeMb: 12 },
  })
  worker.unref()
  // Until somebody waits for it, a failure has nobody to be told to; who comes then finds that it has ended.
  worker.on('error', () => undefined)
  return worker
}
