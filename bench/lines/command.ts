import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { LineGroup, RunFigures } from '../line.ts'
import { summary } from '../load.ts'
import { Unprivileged } from '../unprivileged.ts'

/** A command of the server's command line from its start to its end: `bundle show`, by a user who is not root. */
export const commandLines: LineGroup = {
  lines: {
    command: 'the command `bundle show` from start to end, as built',
    'command-checkout': 'the same from the checkout',
  },
  needsProgram: true,
  prepare: async (contestant, effort) => {
    const { program } = contestant
    if (program === undefined) throw new Error('commands need a program')
    const stack = new AsyncDisposableStack()
    try {
      const target = stack.use(await contestant.fresh())
      const user = stack.use(new Unprivileged())
      user.openSocket(target.serverSocket, target.folder)
      const args = ['bundle', 'show', '-socketPath', target.serverSocket]
      const time = ([file, ...first]: readonly [string, ...string[]]) => {
        const started = performance.now()
        const { status, stderr } = spawnSync(file, [...first, ...args], {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: user.home },
          ...(user.uid === undefined ? {} : { uid: user.uid, gid: user.uid }),
        })
        if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status}: ${stderr}`)
        return performance.now() - started
      }
      const ways: [string, readonly [string, ...string[]]][] = [['command', program.server]]
      if (program.pushes) {
        const launcher = join(user.checkout, 'packages/plastron/bin/plastron-server.js')
        ways.push(['command-checkout', [process.execPath, launcher]])
      }
      // The first ones fill the compile cache.
      for (const [, way] of ways) for (let number = 0; number < 2; number++) time(way)
      return {
        run: async (): Promise<RunFigures> =>
          Object.fromEntries(
            ways.map(([name, way]) => [name, summary(Array.from({ length: effort.count(20) + 2 }, () => time(way)))]),
          ),
        [Symbol.asyncDispose]: () => stack.disposeAsync(),
      }
    } catch (error) {
      await stack.disposeAsync()
      throw error
    }
  },
}
