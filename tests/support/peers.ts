import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './cluster.ts'

const built = join(repositoryRoot, 'tests/interop/peers/.built')

/** A workload written with another SPIFFE library: the command that runs it. */
export interface Peer {
  readonly name: string
  readonly command: string
  args(what: 'fetch' | 'hold', address: string): string[]
  /** Why it cannot run here, or false: for a test's `skip`. */
  readonly skip: string | false
}

/** A missing peer skips its tests on a developer's machine and fails them where CI is set. */
function skipUnless(path: string): string | false {
  if (existsSync(path) || process.env.CI === 'true') return false
  return `${path} is missing: run scripts/install-peers.sh`
}

const go = join(built, 'go-peer')
const python = join(built, 'py-venv/bin/python')
const java = join(built, 'java-peer')
const conformance = join(built, 'h2spec')

/** A conformance suite of HTTP/2, which tries a server. */
export const http2Conformance = { command: conformance, skip: skipUnless(conformance) }

export const peers: readonly Peer[] = [
  { name: 'go-spiffe', command: go, args: (what, address) => [what, '-socket', address], skip: skipUnless(go) },
  {
    name: 'py-spiffe',
    command: python,
    args: (what, address) => [join(built, '../py-spiffe/peer.py'), what, '--socket', address],
    skip: skipUnless(python),
  },
  {
    name: 'java-spiffe',
    command: 'java',
    args: (what, address) => ['-cp', `${java}/java-spiffe-peer-0.jar:${java}/dependency/*`, 'peer.Peer', what, address],
    skip: skipUnless(java),
  },
]
