// npm run bench -- --help says what it takes; see bench/README.md.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../tests/support/cluster.ts'
import { runningContestant, StartedContestant } from './contestant.ts'
import { type Growth, growthPanels, growthTable, measureGrowth } from './grow.ts'
import { helpText } from './help.ts'
import { describeMachine } from './machine.ts'
import { measureLines } from './measure-lines.ts'
import { type BenchOptions, parseOptions } from './options.ts'
import { plot } from './plot.ts'
import { compareWithRecorded, record } from './recorded.ts'
import { type Report, reportTable } from './report.ts'

const options = readOptions()
const { command, effort, runs, json } = options
const say = (text: string) => process.stderr.write(`${text}\n`)
const print = (text: string) => process.stdout.write(`\n${text}\n`)
const keep = (value: unknown) => {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(value, null, 2)}\n`)
}

/** The options; whoever asks for help or makes a mistake is answered, and nothing is measured. */
function readOptions(): BenchOptions {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options !== undefined) return options
    process.stdout.write(`${helpText()}\n`)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  }
}

await using stack = new AsyncDisposableStack()
const contestants =
  options.running === undefined
    ? options.programs.map(program => stack.use(new StartedContestant(program)))
    : [runningContestant(options.running)]
const machine = describeMachine(options.programs)

if (command === 'grow') {
  const growths: Growth[] = []
  for (const contestant of contestants) growths.push(await measureGrowth(contestant, effort, say))
  print(growthTable(growths))
  // A quick run shows that it works; it is no picture for others to see.
  const svg = options.svg ?? (effort.quick ? undefined : join(repositoryRoot, 'docs/growth.svg'))
  if (svg !== undefined) writeFileSync(svg, plot(growthPanels(growths)))
  keep({ machine, growths })
} else {
  const lines = await measureLines(options.lines, { contestants, effort, runs, say })
  const report: Report = { machine, part: effort.part, runs, lines }
  print(reportTable(report))
  if (command === 'record') record(report)
  if (command === 'compare') print(compareWithRecorded(lines))
  keep(report)
}
