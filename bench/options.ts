import { parseArgs } from 'node:util'
import type { Effort, LineGroup } from './line.ts'
import { allLines } from './lines/index.ts'
import { type Program, plastron, spire } from './program.ts'
import type { Target } from './target.ts'

/** What the command line asks for. */
export interface BenchOptions {
  readonly command: 'measure' | 'compare' | 'record' | 'grow'
  readonly lines: readonly LineGroup[]
  readonly effort: Effort
  readonly runs: number
  /** What is started and measured; the first is what the others are compared with. */
  readonly programs: readonly Program[]
  /** What runs already and is measured as it is. */
  readonly running: Target | undefined
  /** Where the report goes as JSON. */
  readonly json: string | undefined
  /** Where the plot of growth goes. */
  readonly svg: string | undefined
}

/** Undefined where help is asked for. @throws Error when a word or flag is not known. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'string' },
      svg: { type: 'string' },
      runs: { type: 'string' },
      effort: { type: 'string' },
      plastron: { type: 'string' },
      'against-spire': { type: 'string' },
      'server-socket': { type: 'string' },
      'server-pid': { type: 'string' },
      'server-port': { type: 'string' },
      'agent-socket': { type: 'string' },
      'agent-pid': { type: 'string' },
      'trust-domain': { type: 'string', default: 'example.org' },
    },
  })
  if (values.help) return undefined
  const [command, lines, quick] = readWords(positionals)
  const count = (flag: 'runs' | 'server-pid' | 'server-port' | 'agent-pid') => {
    const number = numberOf(flag, values[flag])
    if (number !== undefined && !(Number.isInteger(number) && number > 0))
      throw new Error(`--${flag} must be a whole number greater than 0, not ${values[flag]}`)
    return number
  }
  const serverSocket = values['server-socket']
  const running: Target | undefined =
    serverSocket === undefined
      ? undefined
      : {
          name: 'the given one',
          trustDomain: values['trust-domain'],
          host: '127.0.0.1',
          port: count('server-port') ?? 8081,
          serverSocket,
          serverPid: count('server-pid'),
          agentSocket: values['agent-socket'],
          agentPid: count('agent-pid'),
        }
  const against = values['against-spire']
  return {
    command,
    lines,
    effort: effortOf(quick, numberOf('effort', values.effort)),
    runs: count('runs') ?? (quick ? 1 : 3),
    programs:
      running === undefined ? [plastron(values.plastron), ...(against === undefined ? [] : [spire(against)])] : [],
    running,
    json: values.json,
    svg: values.svg,
  }
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (text.trim() === '' || !Number.isFinite(number)) throw new Error(`--${flag} must be a number, not ${text}`)
  return number
}

/** Quick runs do a twentieth of the work, others all of it, unless told which part. */
function effortOf(quick: boolean, part = quick ? 0.05 : 1): Effort {
  if (part <= 0) throw new Error('--effort must be greater than 0')
  return {
    quick,
    part,
    count: full => Math.max(1, Math.round(full * part)),
    seconds: full => full * part,
  }
}

function readWords(words: readonly string[]): [BenchOptions['command'], readonly LineGroup[], boolean] {
  const rest = [...words]
  let command: BenchOptions['command'] = 'measure'
  let quick = false
  let chosen: readonly LineGroup[] | undefined
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === 'quick') quick = true
    else if (word === 'compare' || word === 'record' || word === 'grow') command = word
    else if (word === 'only') chosen = groupsOf((rest.shift() ?? '').split(','))
    else throw new Error(`${word} is unknown; --help names what there is`)
  }
  return [command, chosen ?? allLines.filter(line => !(quick && line.slow)), quick]
}

/** The groups that have the lines; their other lines come with them. */
function groupsOf(names: readonly string[]): LineGroup[] {
  const known = allLines.flatMap(group => Object.keys(group.lines))
  for (const name of names)
    if (!known.includes(name)) throw new Error(`no line is called ${name}; known: ${known.join(' ')}`)
  return allLines.filter(group => names.some(name => name in group.lines))
}
