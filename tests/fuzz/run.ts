// Replays the corpus of every parser, then tries mutated inputs for a while.
//   node tests/fuzz/run.ts                                   every target, 30 s each, as many at a time as there are cores
//   node tests/fuzz/run.ts --target der --seconds 300        one target (--target may be repeated)
//   node tests/fuzz/run.ts --seed 0123abcd --jobs 1          the inputs of another commit, one target after the other
//   node tests/fuzz/run.ts --target der --input FILE         this input alone (--input may be repeated)
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runFuzz } from './fuzz.ts'
import { seedOfCommit } from './seed.ts'
import { targetNames } from './targets/index.ts'

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    input: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '30' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    seed: { type: 'string' },
  },
})
const seed = values.seed ?? seedOfCommit(import.meta.dirname)
const known = await targetNames()
const targets = values.target ?? known
const unknown = targets.filter(name => !known.includes(name))
const [seconds, jobs] = [Number(values.seconds), Number(values.jobs)]

if (unknown.length > 0 || !(seconds >= 0) || !(jobs >= 1) || (values.input !== undefined && targets.length !== 1)) {
  process.stderr.write(
    `targets: ${known.join(' ')}\n--input needs exactly one --target; --seconds and --jobs are numbers\n`,
  )
  process.exitCode = 2
} else {
  process.stdout.write(`seed ${seed}\n`)
  const findings = await runFuzz({
    targets,
    jobs,
    options: { seconds, seed, inputs: values.input },
    log: line => process.stdout.write(`${line}\n`),
  })
  if (findings > 0) process.exitCode = 1
}
