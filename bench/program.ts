import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { repositoryRoot } from '../tests/support/cluster.ts'

/** A server and an agent that can be started, with SPIRE's configuration and command lines. */
export interface Program {
  readonly name: string
  /** What starts the server or the agent; commands and flags follow. */
  readonly server: readonly [string, ...string[]]
  readonly agent: readonly [string, ...string[]]
  /** Whether its server pushes changes to agents. */
  readonly pushes: boolean
  /** Whether it can be asked for 100,000 entries, and for many that are alike, in minutes. */
  readonly fillsFast: boolean
}

/** Plastron as its users start it: the launchers of a built package, by default the one that `npm run build` makes. */
export function plastron(folder = join(repositoryRoot, 'packages/plastron/dist')): Program {
  const launcher = (name: string): readonly [string, string] => [process.execPath, join(resolve(folder), 'bin', name)]
  const program = {
    name: 'Plastron',
    server: launcher('plastron-server.js'),
    agent: launcher('plastron-agent.js'),
    pushes: true,
    fillsFast: true,
  }
  if (!existsSync(program.server[1])) throw new Error(`${program.server[1]} is missing: run npm run build first`)
  return program
}

/** SPIRE, from a folder with spire-server and spire-agent. */
export function spire(folder: string): Program {
  const at = (name: string): readonly [string] => [join(resolve(folder), name)]
  const program = {
    name: 'SPIRE',
    server: at('spire-server'),
    agent: at('spire-agent'),
    pushes: false,
    fillsFast: false,
  }
  for (const path of [program.server[0], program.agent[0]]) if (!existsSync(path)) throw new Error(`${path} is missing`)
  return program
}
