import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

/** How a program ended and what it printed. */
export interface ProgramResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  readonly stdin?: string | undefined
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly cwd?: string | undefined
  /** Killed after this time, so that a test cannot hang. Default 60,000. */
  readonly timeoutMs?: number | undefined
}

/** Runs a program to its end. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const program = startProgram(command, args, options)
  program.child.stdin?.end(options.stdin ?? '')
  return program.ended
}

/** A program that is running: what it printed so far, and its end. */
export interface RunningProgram {
  readonly child: ChildProcess
  readonly ended: Promise<ProgramResult>
  stdout(): string
  stderr(): string
  /** Resolves when a stream's text so far satisfies `test`; rejects when the program ends first. */
  until(stream: 'stdout' | 'stderr', test: (text: string) => boolean): Promise<string>
}

/** Starts a program; whoever started it sees to its end. */
export function startProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions & Pick<SpawnOptions, 'detached'> = {},
): RunningProgram {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    detached: options.detached ?? false,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const text = { stdout: '', stderr: '' }
  const waiting = new Set<() => void>()
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      text[stream] += chunk
      for (const check of waiting) check()
    })
  }
  // A program that does not read its input is no failure of the test.
  child.stdin.on('error', () => undefined)
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000)
  const ended = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, ...text })
    })
  })
  // Not every caller looks at the end; one that does still sees the rejection.
  ended.catch(() => undefined)
  return {
    child,
    ended,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    until: (stream, test) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      const check = () => {
        if (!test(text[stream])) return
        waiting.delete(check)
        resolve(text[stream])
      }
      waiting.add(check)
      check()
      ended.then(
        result =>
          reject(
            new Error(`${command} ended (${result.code ?? result.signal}) first\n${result.stdout}\n${result.stderr}`),
          ),
        reject,
      )
      return promise
    },
  }
}
