import type { Calibration } from './calibration.ts'
import type { FigureName, Figures } from './line.ts'
import type { Machine } from './machine.ts'
import type { LineResult } from './measure-lines.ts'

/** All that a run of the benchmark found; what `--json` writes. */
export interface Report {
  readonly machine: Machine
  /** Which part of a full run's work each run did. */
  readonly part: number
  readonly runs: number
  readonly lines: readonly LineResult[]
}

/** The figures of the table, in order, with their units. */
const columns: readonly (readonly [FigureName, string, (value: number) => string])[] = [
  ['perSecond', 'rate', value => `${rounded(value)}/s`],
  ['p50Ms', 'p50', value => `${value.toFixed(2)} ms`],
  ['p99Ms', 'p99', value => `${value.toFixed(2)} ms`],
  ['cpuMicroseconds', 'CPU each', value => `${rounded(value)} µs`],
  ['cpuPercent', 'CPU', value => `${value.toFixed(2)} %`],
  ['bytesEach', 'memory each', value => `${(value / 1000).toFixed(1)} KB`],
  ['residentMib', 'memory', value => `${value.toFixed(0)} MiB`],
]

/** What is compared between the first contestant and the second, in the words of the table. */
const compared: readonly (readonly [FigureName, string])[] = [
  ['perSecond', 'rate'],
  ['p50Ms', 'p50'],
  ['p99Ms', 'p99'],
  ['cpuMicroseconds', 'CPU'],
  ['cpuPercent', 'CPU'],
  ['bytesEach', 'memory'],
  ['residentMib', 'memory'],
]

/** As Markdown: the machine, and a row for each line and contestant, with what the first is of the second. */
export function reportTable({ machine, part, runs, lines }: Report): string {
  const names = [...new Set(lines.flatMap(line => Object.keys(line.medians)))]
  const head = ['line', 'who', ...new Set(columns.map(([, title]) => title)), 'in raw signatures']
  if (names.length > 1) head.push(`${names[0]} / ${names[1]}`)
  const rows = lines.flatMap(({ name, medians, calibration }) =>
    Object.entries(medians).map(([who, figures], index) => [
      index === 0 ? name : '',
      who,
      ...columns.map(([figure, , text]) => (figures[figure] === undefined ? '' : text(figures[figure]))),
      inSignatures(figures, calibration),
      ...(names.length > 1 ? [index === 0 ? ratios(figures, medians[names[1] as string]) : ''] : []),
    ]),
  )
  const { date, cores, cpu, memoryGib, linux, node, loadBefore, versions } = machine
  const said = Object.entries(versions).map(([who, version]) => `${who} ${version}`)
  return [
    `${date}, ${cores} × ${cpu}, ${memoryGib} GiB, Linux ${linux}, Node ${node}, load average before ${loadBefore.toFixed(1)}; ${[...said, `medians of ${runs}${part === 1 ? '' : `, ${part} of the work each`}`].join('; ')}.`,
    '',
    markdownTable(head, rows),
    '',
    ...lines.map(({ name, work }) => `- ${name}: ${work}`),
  ].join('\n')
}

/** A Markdown table with aligned columns. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, 3, ...rows.map(row => (row[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

function inSignatures({ cpuMicroseconds }: Figures, { signMicroseconds }: Calibration): string {
  return cpuMicroseconds === undefined ? '' : `${(cpuMicroseconds / signMicroseconds).toFixed(1)}`
}

function ratios(ours: Figures, theirs: Figures | undefined): string {
  if (theirs === undefined) return ''
  return compared
    .flatMap(([figure, title]) => {
      const [a, b] = [ours[figure], theirs[figure]]
      return a === undefined || b === undefined || b === 0 ? [] : [`${title} ${(a / b).toFixed(2)}×`]
    })
    .join(', ')
}

function rounded(value: number): string {
  return value < 10 ? value.toFixed(1) : Math.round(value).toString()
}
