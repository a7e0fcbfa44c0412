import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Figures } from './line.ts'
import type { Machine } from './machine.ts'
import type { LineResult } from './measure-lines.ts'
import type { Report } from './report.ts'

/** A line as it was recorded. */
export interface RecordedLine {
  /** Medians of the first contestant. */
  readonly figures: Figures
  /** What a signature, a verification and an echo cost in the same minute, in microseconds of CPU time. */
  readonly calibrationMicroseconds: number
}

/** What bench/recorded.json holds. */
export interface Recorded {
  readonly machine: Machine
  readonly lines: Readonly<Record<string, RecordedLine>>
}

const recordedPath = fileURLToPath(new URL('recorded.json', import.meta.url))

/** How much dearer than recorded is worth a sentence: less is within what a shared machine does. */
const notable = 1.3

/** Undefined when nothing has been recorded. */
export function readRecorded(): Recorded | undefined {
  return existsSync(recordedPath) ? (JSON.parse(readFileSync(recordedPath, 'utf8')) as Recorded) : undefined
}

/** Keeps the figures of a run for later comparisons; lines that it did not measure stay as they were. */
export function record({ machine, lines }: Report): void {
  const recorded: Recorded = { machine, lines: { ...readRecorded()?.lines, ...recordedLines(lines) } }
  writeFileSync(recordedPath, `${JSON.stringify(recorded, null, 2)}\n`)
}

function recordedLines(lines: readonly LineResult[]): Record<string, RecordedLine> {
  return Object.fromEntries(
    lines.map(({ name, medians, calibration }) => [
      name,
      { figures: Object.values(medians)[0] ?? {}, calibrationMicroseconds: calibration.totalMicroseconds },
    ]),
  )
}

/** A sentence for each path that has become notably dearer, measured in what a signature, a verification and an echo cost; or that none has. */
export function compareWithRecorded(lines: readonly LineResult[]): string {
  const recorded = readRecorded()
  if (recorded === undefined) return 'nothing is recorded: npm run bench -- record'
  return comparison(recordedLines(lines), recorded.lines, recorded.machine.date)
}

/** The comparison itself. */
export function comparison(
  now: Readonly<Record<string, RecordedLine>>,
  then: Readonly<Record<string, RecordedLine>>,
  date: string,
): string {
  const compared = Object.entries(now).flatMap(([name, line]) => {
    const [a, b] = [line, then[name]]
    if (b === undefined) return []
    const [cpu, recordedCpu] = [a.figures.cpuMicroseconds, b.figures.cpuMicroseconds]
    if (cpu === undefined || recordedCpu === undefined) return []
    const times = cpu / a.calibrationMicroseconds / (recordedCpu / b.calibrationMicroseconds)
    const text = `${name}: ${times.toFixed(2)} times the recorded cost (${cpu.toFixed(0)} µs at a calibration of ${a.calibrationMicroseconds.toFixed(0)} µs; recorded ${recordedCpu.toFixed(0)} µs at ${b.calibrationMicroseconds.toFixed(0)} µs)`
    return [{ times, text }]
  })
  const dearer = compared.filter(({ times }) => times > notable)
  const found = dearer.length === 0 ? 'none costs' : `${dearer.length} cost`
  const head = `${compared.length} paths compared with ${date}: ${found} more than ${notable} times as much`
  return [head, ...dearer.map(({ text }) => text)].join('\n')
}
