import { setImmediate as nextTurn } from 'node:timers/promises'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { FileDigests } from './file-digest.ts'
import type { FileAnswer, FileQuestion, FileWorkerOptions } from './messages.ts'
import { NameDatabase } from './name-database.ts'

/**
 * Reads what others choose (programs, name databases) on a thread of its own, so that a file system that hangs, or a huge file, holds up nobody
 * but those who wait for it. Everything here blocks; the thread that asks keeps the time.
 */
function serve(port: MessagePort, options: FileWorkerOptions): void {
  const names = new NameDatabase(options.names)
  const digests = new FileDigests(() => nextTurn())

  async function answer(question: FileQuestion): Promise<string | undefined> {
    if (question.kind === 'name') return names.lookup(question.database, question.number)
    const { path, maxBytes, timeoutMs } = question
    return digests.sha256(path, { maxBytes, deadline: performance.now() + timeoutMs })
  }

  port.on('message', (question: FileQuestion) => {
    const { id } = question
    answer(question).then(
      value => port.postMessage({ id, value } satisfies FileAnswer),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error)
        port.postMessage({ id, error: reason } satisfies FileAnswer)
      },
    )
  })
}

if (parentPort !== null) serve(parentPort, workerData as FileWorkerOptions)
