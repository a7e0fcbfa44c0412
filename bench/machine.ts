import { spawnSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import type { Program } from './program.ts'

/** Where and with what something was measured. */
export interface Machine {
  readonly date: string
  readonly cores: number
  readonly cpu: string
  readonly memoryGib: number
  readonly linux: string
  readonly node: string
  /** The load average of the last minute before the run: other work on the machine. */
  readonly loadBefore: number
  /** What each program says of its version. */
  readonly versions: Readonly<Record<string, string>>
}

/** Describes this machine and the programs. */
export function describeMachine(programs: readonly Program[]): Machine {
  return {
    date: new Date().toISOString(),
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    linux: release(),
    node: process.version,
    loadBefore: loadavg()[0] ?? 0,
    versions: Object.fromEntries(programs.map(program => [program.name, versionOf(program)])),
  }
}

function versionOf({ server: [file, ...first] }: Program): string {
  const { stdout, stderr } = spawnSync(file, [...first, '--version'], { encoding: 'utf8' })
  return (stdout + stderr).trim().split('\n')[0] ?? 'unknown'
}
