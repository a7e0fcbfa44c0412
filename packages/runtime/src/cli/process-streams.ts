import type { CliStreams } from './command.ts'

/**
 * The streams of this process. SIGINT and SIGTERM abort the signal; a second one ends the process at once, for a user
 * whose patience is over. A reader that has gone (`| head`) ends the program quietly.
 */
export function processStreams(): CliStreams {
  const controller = new AbortController()
  for (const [name, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCode)
      controller.abort(new Error(`received ${name}`))
    })
  }
  const out = lazily(() => quietly(process.stdout))
  const err = lazily(() => quietly(process.stderr))
  // Making standard output takes as long as an answer does: a command that asks a daemon has asked by now.
  setImmediate(out)
  return {
    out: text => void out().write(text),
    err: text => void err().write(text),
    readStdin: async () => {
      let text = ''
      process.stdin.setEncoding('utf8')
      for await (const chunk of process.stdin) text += chunk as string
      return text
    },
    env: process.env,
    signal: controller.signal,
    now: () => new Date(),
  }
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

function quietly(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  return stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(141)
    throw error
  })
}
