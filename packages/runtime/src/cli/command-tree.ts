import { FlagError, goUsage, parseGoFlags } from '../flags/parse-flags.ts'
import type { CliStreams, Command } from './command.ts'

/** A word of the tree: a command that is loaded when it is called, or a group of such. */
export interface CommandEntry {
  /** What the user types: `entry create`. */
  readonly name: string
  /** Shown in the list of commands without loading the command. */
  readonly summary: string
  /** Loads the command's module; called only for the command that was chosen. */
  load(): Promise<Command>
}

/** All commands of one program. */
export interface CommandTree {
  /** The program's name, as in its usage text. */
  readonly program: string
  /** What `-version` prints. */
  readonly version: string
  /** In the order of the program's usage text. */
  readonly commands: readonly CommandEntry[]
}

/**
 * Finds and runs the command that `args` name and resolves with the exit code: what the command says, 0 for help and
 * version, 1 for a failed command or a group without a sub-command, 127 for no or an unknown command.
 */
export async function runCommandTree(tree: CommandTree, args: readonly string[], streams: CliStreams): Promise<number> {
  const [first] = args
  if (first !== undefined && ['-v', '-version', '--version'].includes(first)) {
    streams.out(`${tree.version}\n`)
    return 0
  }
  if (first === undefined || ['-h', '-help', '--help'].includes(first)) {
    streams.err(treeUsage(tree))
    return first === undefined ? 127 : 0
  }
  // The longest name that the words begin with: `api fetch x509` before `api fetch`.
  const found = tree.commands
    .filter(({ name }) => name.split(' ').every((word, index) => args[index] === word))
    .toSorted((a, b) => b.name.length - a.name.length)[0]
  if (found === undefined) return unknownCommand(tree, args, streams)
  const command = await found.load()
  const rest = args.slice(found.name.split(' ').length)
  return runCommand(command, rest, streams)
}

/** Parses `args` by the command's flags and runs it. */
export async function runCommand(command: Command, args: readonly string[], streams: CliStreams): Promise<number> {
  const usage = goUsage(command.usageName ?? command.name, command.flags)
  try {
    const { values } = parseGoFlags(command.flags, args)
    return await command.run(values, streams)
  } catch (error) {
    if (error instanceof FlagError) {
      const asked = error.code === 'ERR_FLAG_HELP'
      streams.err(asked ? `${command.summary}\n\n${usage}` : `${error.message}\n${usage}`)
      return asked ? 0 : 1
    }
    streams.err(`${command.errorPrefix ?? 'Error: '}${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

function unknownCommand(tree: CommandTree, args: readonly string[], streams: CliStreams): number {
  const group = args[0] ?? ''
  const words = group.split(' ')
  for (let length = 1; length <= args.length; length += 1) {
    const prefix = args.slice(0, length).join(' ')
    if (tree.commands.some(({ name }) => name.startsWith(`${prefix} `))) words.splice(0, words.length, prefix)
  }
  const prefix = words.join(' ')
  const inside = tree.commands.filter(({ name }) => name.startsWith(`${prefix} `))
  if (inside.length === 0) {
    streams.err(treeUsage(tree))
    return 127
  }
  const asked = ['-h', '-help', '--help'].includes(args[prefix.split(' ').length] ?? '')
  streams.err(
    `${tree.program} ${prefix} has these commands:\n\n${table(inside.map(({ name, summary }) => [name.slice(prefix.length + 1), summary]))}`,
  )
  return asked ? 0 : 1
}

function treeUsage(tree: CommandTree): string {
  const groups = new Map<string, string[]>()
  for (const { name, summary } of tree.commands) {
    const [head = '', ...rest] = name.split(' ')
    const lines = groups.get(head) ?? []
    lines.push(rest.length === 0 ? summary : rest.join(' '))
    groups.set(head, lines)
  }
  const rows = [...groups].map(([head, lines]): [string, string] => [head, lines.join(', ')])
  return `Usage: ${tree.program} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${table(rows)}\nEach command explains its flags with -h.\n`
}

function table(rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([name = '']) => name.length))
  return rows.map(([name = '', summary = '']) => `    ${name.padEnd(width)}    ${summary}\n`).join('')
}
