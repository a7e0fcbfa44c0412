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
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(141)
      throw error
    })
  }
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
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
