import type { FuzzTarget } from '../target.ts'

/** Files of targets, those that load fastest first: a target's process reads no further than to the file that has it. */
const files: readonly (() => Promise<readonly FuzzTarget[]>)[] = [
  async () => (await import('./pki.ts')).pkiTargets,
  async () => (await import('./spiffe.ts')).spiffeTargets,
  async () => (await import('./api.ts')).apiTargets,
  async () => (await import('./hpack.ts')).hpackTargets,
  async () => (await import('./http2.ts')).http2Targets,
  async () => (await import('./daemons.ts')).daemonTargets,
  async () => (await import('./programs.ts')).programTargets,
]

/** The names of all targets. */
export async function targetNames(): Promise<string[]> {
  const lists = await Promise.all(files.map(load => load()))
  return lists.flat().map(({ name }) => name)
}

/** The target with this name. @throws Error if there is none. */
export async function findTarget(name: string): Promise<FuzzTarget> {
  for (const load of files) {
    const target = (await load()).find(one => one.name === name)
    if (target !== undefined) return target
  }
  throw new Error(`no fuzz target is called "${name}"`)
}
