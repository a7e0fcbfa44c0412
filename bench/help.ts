import { allLines } from './lines/index.ts'

/** What `npm run bench -- --help` says. */
export function helpText(): string {
  const names = allLines.flatMap(group => Object.keys(group.lines))
  return `Measures Plastron as built, and beside it any server or agent that speaks SPIRE's APIs.

  npm run bench                     every line, medians of three runs
  npm run bench -- quick            a twentieth of the work, one run, under a minute
  npm run bench -- only NAME,NAME   some lines
  npm run bench -- record           keeps the costs of this run in bench/recorded.json
  npm run bench -- compare          says which path costs more than 1.3 times what is recorded
  npm run bench -- grow             memory and CPU over entries and agents: docs/growth.svg

With each of them:
  --against-spire DIR   measure spire-server and spire-agent of that folder too, in turns
  --plastron DIR        measure this built package instead of packages/plastron/dist
  --runs N              runs of each line (default 3; quick: 1)
  --effort PART         that part of the work in each run (default 1; quick: 0.05)
  --json FILE           the report as JSON
  --svg FILE            where the plot of grow goes

Measure what runs already, by its addresses; process ids are optional and give CPU times and memory:
  --server-socket PATH  [--server-pid N] [--server-port N] [--trust-domain NAME]
  --agent-socket PATH   [--agent-pid N]

Lines: ${names.join(' ')}
bench/README.md says how it is measured.`
}
