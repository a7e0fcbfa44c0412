import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** A daemon of ours that did not come up, or ended by itself; the message carries the end of its log. */
class DaemonError extends Error {
  override readonly name = 'DaemonError'
  readonly code = 'ERR_DEV_DAEMON'
}

/**
 * One daemon as a child process. Its standard input is a pipe that only we hold: when we end, however that happens, the
 * kernel closes it and the daemon stops by itself (its flag `-stopWhenStdinCloses`). Its output goes to a log file.
 */
export class Daemon implements AsyncDisposable {
  readonly name: string
  readonly logPath: string
  /** Resolves when the process has ended, with a sentence that says how. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess
  #running = true

  private constructor(name: string, logPath: string, child: ChildProcess) {
    this.name = name
    this.logPath = logPath
    this.#child = child
    this.ended = new Promise(resolve => {
      child.once('error', error => resolve(`${name} could not be started: ${error.message}`))
      child.once('exit', (code, signal) =>
        resolve(`${name} ended ${signal === null ? `with exit code ${code}` : `by ${signal}`}`),
      )
    }).then(how => {
      this.#running = false
      return how as string
    })
  }

  static start(name: string, program: string, args: readonly string[], logPath: string): Daemon {
    const log = openSync(logPath, 'a', 0o600)
    try {
      // A group of its own keeps a terminal's Ctrl-C from reaching it before we stop things in order.
      const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', log, log], detached: true })
      // A daemon that has ended closes the pipe's other end; `ended` reports that, the pipe need not.
      child.stdin?.on('error', () => undefined)
      return new Daemon(name, logPath, child)
    } finally {
      closeSync(log)
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Rejects with {@link DaemonError} when the daemon ends before `ready` resolves. */
  async whileRunning<T>(ready: Promise<T>): Promise<T> {
    const failed = this.ended.then(how => {
      throw new DaemonError(`${how}\n${this.logTail()}\nThe whole log: ${this.logPath}`)
    })
    return Promise.race([ready, failed])
  }

  /** The last lines of its log. */
  logTail(lines = 15): string {
    try {
      return readFileSync(this.logPath, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    } catch {
      return ''
    }
  }

  /** Closes the pipe, which asks it to stop; kills it when it has not ended after `graceMs`. */
  async stop(graceMs = 4_000): Promise<void> {
    this.#child.stdin?.end()
    if (!this.#running) return
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await this.ended
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
