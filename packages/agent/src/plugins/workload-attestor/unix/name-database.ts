import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'

/** `passwd` or `group`. */
export type NameKind = 'passwd' | 'group'

/** How long a name service may take to answer. */
const NAME_SERVICE_MS = 2000
/** How long an answer of the name service is believed. */
const NAME_SERVICE_TTL_MS = 60_000

/** Where names come from. */
export interface NameSources {
  readonly files: Readonly<Record<NameKind, string>>
  /** A program that answers `getent passwd 1000`; undefined for none. */
  readonly getent: string | undefined
}

/** The system's own. */
export const systemNameSources: NameSources = Object.freeze({
  files: Object.freeze({ passwd: '/etc/passwd', group: '/etc/group' }),
  getent: '/usr/bin/getent',
})

/**
 * Names of users and groups by number: from the local files, read again when they change, and for numbers that are not in them from the
 * system's name service through `getent`. Blocks; for a worker.
 */
export class NameDatabase {
  readonly #sources: NameSources
  readonly #files = new Map<NameKind, { readonly version: string; readonly names: ReadonlyMap<number, string> }>()
  readonly #asked = new Map<string, { readonly name: string | undefined; readonly until: number }>()

  constructor(sources: NameSources) {
    this.#sources = sources
  }

  /** The name, or undefined if there is none. Of several lines with one number the first counts. */
  lookup(kind: NameKind, id: number): string | undefined {
    return this.#local(kind).get(id) ?? this.#fromNameService(kind, id)
  }

  #local(kind: NameKind): ReadonlyMap<number, string> {
    const path = this.#sources.files[kind]
    try {
      const { ino, mtimeNs, size } = statSync(path, { bigint: true })
      const version = `${ino}/${mtimeNs}/${size}`
      const held = this.#files.get(kind)
      if (held?.version === version) return held.names
      const names = parseNames(readFileSync(path, 'utf8'))
      this.#files.set(kind, { version, names })
      return names
    } catch {
      return new Map()
    }
  }

  #fromNameService(kind: NameKind, id: number): string | undefined {
    if (this.#sources.getent === undefined) return undefined
    const key = `${kind}/${id}`
    const held = this.#asked.get(key)
    if (held !== undefined && held.until > performance.now()) return held.name
    const answer = spawnSync(this.#sources.getent, [kind, String(id)], {
      timeout: NAME_SERVICE_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 1024 * 1024,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    const name = answer.status === 0 ? parseNames(answer.stdout).get(id) : undefined
    if (this.#asked.size >= 10_000) this.#asked.clear()
    this.#asked.set(key, { name, until: performance.now() + NAME_SERVICE_TTL_MS })
    return name
  }
}

/** Reads lines of `/etc/passwd` or `/etc/group`, which both begin with name, password and number. What does not is skipped. */
export function parseNames(text: string): Map<number, string> {
  const names = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':')
    if (name === undefined || name === '' || id === undefined || !/^\d{1,10}$/.test(id)) continue
    // "+" and "-" at the beginning are instructions to an old name service, not names.
    if (name.startsWith('#') || name.startsWith('+') || name.startsWith('-')) continue
    if (!names.has(Number(id))) names.set(Number(id), name)
  }
  return names
}
