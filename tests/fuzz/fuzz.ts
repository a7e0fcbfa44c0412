import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describeReport } from './supervise.ts'
import type { FuzzOptions, FuzzReport } from './target.ts'

/** What {@link runFuzz} runs. */
export interface FuzzRun {
  readonly targets: readonly string[]
  /** Targets at a time. */
  readonly jobs: number
  readonly options: FuzzOptions
  readonly log: (line: string) => void
}

/** Runs targets, each in a process of its own, and gives the number of findings. */
export async function runFuzz({ targets, jobs, options, log }: FuzzRun): Promise<number> {
  const waiting = [...targets]
  let findings = 0
  const work = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      const report = await fuzzInProcess(target, options)
      findings += report.findings.length
      log(describeReport(report))
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, targets.length) }, work))
  return findings
}

/** Runs one target in a process of its own: a fault in native code ends that process and not the caller's. */
export function fuzzInProcess(target: string, options: FuzzOptions): Promise<FuzzReport> {
  return new Promise((resolve, reject) => {
    const child = fork(
      fileURLToPath(new URL('./target-process.ts', import.meta.url)),
      [target, JSON.stringify(options)],
      {
        execArgv: [],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    )
    let report: FuzzReport | undefined
    child.once('message', message => {
      report = message as FuzzReport
    })
    child.once('error', reject)
    // The end of a process can be known before its last message was read. Only the end of the channel says that nothing follows.
    const ended = new Promise<string>(end => child.once('exit', (code, signal) => end(signal ?? String(code))))
    child.once('disconnect', () => {
      void ended.then(how => {
        if (report !== undefined) resolve(report)
        else reject(new Error(`the process of fuzz target ${target} ended with ${how}; seed ${options.seed}`))
      })
    })
  })
}
