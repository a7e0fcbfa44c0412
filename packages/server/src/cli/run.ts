import { type Command, defineCommand } from '@plastron/runtime/program'
import { serverRunFlags } from '../config/server-flags.ts'
import { startDatastoreThread } from '../server-threads.ts'

export const run: Command = defineCommand({
  name: 'run',
  summary: 'Runs the server',
  flags: serverRunFlags,
  run: async (values, streams) => {
    // It loads its program while this thread loads the server's.
    const datastoreThread = startDatastoreThread()
    const { runServer } = await import('../run-server.ts')
    return runServer(values, streams.env, datastoreThread)
  },
})
