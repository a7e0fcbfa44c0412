import type { FuzzTarget } from '../target.ts'
import { apiTargets } from './api.ts'
import { daemonTargets } from './daemons.ts'
import { pkiTargets } from './pki.ts'
import { programTargets } from './programs.ts'
import { spiffeTargets } from './spiffe.ts'

const targets = new Map<string, FuzzTarget>(
  [...pkiTargets, ...spiffeTargets, ...apiTargets, ...daemonTargets, ...programTargets].map(target => [
    target.name,
    target,
  ]),
)

/** The names of all targets. */
export function targetNames(): string[] {
  return [...targets.keys()]
}

/** The target with this name. @throws Error if there is none. */
export function findTarget(name: string): FuzzTarget {
  const target = targets.get(name)
  if (target === undefined) throw new Error(`no fuzz target is called "${name}"; there are ${targetNames().join(' ')}`)
  return target
}
