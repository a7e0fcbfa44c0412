// npm run bench -- [quick] [only NAME,NAME] [--against-spire DIR] [--json FILE]: see bench/README.md.
import { writeFileSync } from 'node:fs'
import { runningContestant, StartedContestant } from './contestant.ts'
import { describeMachine } from './machine.ts'
import { measureLines } from './measure-lines.ts'
import { parseOptions } from './options.ts'
import { compareWithRecorded, record } from './recorded.ts'
import { type Report, reportTable } from './report.ts'

const options = parseOptions(process.argv.slice(2))
const say = (text: string) => process.stderr.write(`${text}\n`)

await using stack = new AsyncDisposableStack()
const contestants =
  options.running === undefined
    ? options.programs.map(program => stack.use(new StartedContestant(program)))
    : [runningContestant(options.running)]
const machine = describeMachine(options.programs)
const { effort, runs } = options
const lines = await measureLines(options.lines, { contestants, effort, runs, say })
const report: Report = { machine, quick: effort.quick, runs, lines }
process.stdout.write(`\n${reportTable(report)}\n`)
if (options.command === 'record') record(report)
if (options.command === 'compare') process.stdout.write(`\n${compareWithRecorded(lines)}\n`)
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
