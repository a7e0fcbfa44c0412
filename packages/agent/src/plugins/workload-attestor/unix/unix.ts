import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Selector } from '../../../entries/selector.ts'
import type { ProcessSnapshot, WorkloadAttestor } from '../workload-attestor.ts'
import { FileReader } from './file-reader.ts'
import { type NameKind, type NameSources, systemNameSources } from './name-database.ts'
import { type ProcessOwner, parseProcStatus } from './proc-status.ts'

/** How long reading a program may take: a little less than an attestor's deadline, so that its own error arrives. */
const DIGEST_MS = 4500
/** How long a name is believed without a look at the file that it came from. */
const NAME_TTL_MS = 1000

/** Settings of the plugin `unix`. */
export interface UnixAttestorOptions {
  /** Adds the selectors `path` and `sha256`. Default false (AGT-WA-UNIX-001). */
  readonly discoverWorkloadPath?: boolean | undefined
  /** Bytes of the largest program that is hashed; 0, the default, for any size; negative for no hash at all (AGT-WA-UNIX-002). */
  readonly workloadSizeLimit?: number | undefined
  /** Where the proc file system is. Default: the variable `HOST_PROC`, else `/proc` (AGT-WA-UNIX-008). */
  readonly procFolder?: string | undefined
  /** Where names come from. Default: the system's. */
  readonly names?: NameSources | undefined
}

/** A name, or that there is none, and how long that is believed on the monotonic clock. */
interface HeldName {
  readonly name: string | undefined
  readonly until: number
}

/**
 * Finds out who a process acts as, and on request which program it runs: `uid`, `user`, `gid`, `group`, `supplementary_gid`,
 * `supplementary_group`, `path`, `sha256`.
 */
export class UnixAttestor implements WorkloadAttestor {
  readonly name = 'unix'
  readonly #discoverPath: boolean
  readonly #sizeLimit: number
  readonly #proc: string
  readonly #files: FileReader
  readonly #names = new Map<string, HeldName>()
  /** What was found about an owner, as long as the names in it are believed. */
  readonly #found = new WeakMap<ProcessOwner, { readonly selectors: readonly Selector[]; readonly until: number }>()

  constructor(options: UnixAttestorOptions = {}) {
    this.#discoverPath = options.discoverWorkloadPath ?? false
    this.#sizeLimit = options.workloadSizeLimit ?? 0
    this.#proc = options.procFolder ?? (process.env.HOST_PROC || '/proc')
    this.#files = new FileReader(options.names ?? systemNameSources)
  }

  async attest(pid: number, signal: AbortSignal): Promise<readonly Selector[]> {
    const owner = parseProcStatus(readFileSync(join(this.#proc, `${pid}`, 'status'), 'latin1'))
    const [user, group, program, ...supplementaryGroups] = await Promise.all([
      this.#nameOf('passwd', owner.uid, signal),
      this.#nameOf('group', owner.gid, signal),
      this.#discoverPath ? this.#program(pid, signal) : [],
      ...owner.supplementaryGids.map(id => this.#nameOf('group', id, signal)),
    ])
    const values = [
      `uid:${owner.uid}`,
      ...named('user', [user]),
      `gid:${owner.gid}`,
      ...named('group', [group]),
      ...owner.supplementaryGids.map(id => `supplementary_gid:${id}`),
      ...named('supplementary_group', supplementaryGroups),
      ...program,
    ]
    const until = [user, group, ...supplementaryGroups].reduce((first, held) => Math.min(first, held.until), Infinity)
    const before = this.#found.get(owner)?.selectors
    if (before !== undefined && sameValues(before, values)) {
      this.#found.set(owner, { selectors: before, until })
      return before
    }
    const selectors = values.map(value => ({ type: this.name, value }))
    if (this.#readsOnlyOwners) this.#found.set(owner, { selectors, until })
    return selectors
  }

  attestNow(process: ProcessSnapshot): readonly Selector[] | undefined {
    if (!this.#readsOnlyOwners) return undefined
    const found = this.#found.get(process.owner())
    return found !== undefined && found.until > performance.now() ? found.selectors : undefined
  }

  /** Whether all that it finds out follows from what the agent itself reads about a process. */
  get #readsOnlyOwners(): boolean {
    return !this.#discoverPath && this.#proc === '/proc'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]()
  }

  async #program(pid: number, signal: AbortSignal): Promise<string[]> {
    const link = join(this.#proc, `${pid}`, 'exe')
    // The link's target is a name in the process's own mount namespace; the content is read through the link, which leads to the very file.
    const path = readlinkSync(link)
    if (this.#sizeLimit < 0) return [`path:${path}`]
    return [`path:${path}`, `sha256:${await this.#files.sha256(link, this.#sizeLimit, DIGEST_MS, signal)}`]
  }

  async #nameOf(database: NameKind, id: number, signal: AbortSignal): Promise<HeldName> {
    const key = `${database}/${id}`
    const held = this.#names.get(key)
    if (held !== undefined && held.until > performance.now()) return held
    const name = await this.#files.name(database, id, signal)
    if (this.#names.size >= 10_000) this.#names.clear()
    const learned = { name, until: performance.now() + NAME_TTL_MS }
    this.#names.set(key, learned)
    return learned
  }
}

/** Numbers without a name give no selector (AGT-WA-UNIX-005). */
function named(kind: string, names: readonly HeldName[]): string[] {
  return names.flatMap(({ name }) => (name === undefined ? [] : [`${kind}:${name}`]))
}

function sameValues(selectors: readonly Selector[], values: readonly string[]): boolean {
  return selectors.length === values.length && selectors.every(({ value }, index) => value === values[index])
}
