import { Certificate, type PrivateKey } from '@plastron/pki'
import { checkLeaf, isSpiffeError, verifyX509Svid } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { TrustBundle } from '../upstream/trust-bundle.ts'

/** Reads the certificates of a reply and checks that they are what was asked for: a leaf for this entry's ID and for our key. */
export function readX509(
  certChain: readonly Uint8Array[],
  entry: AgentEntry,
  key: PrivateKey,
): readonly [leaf: Certificate, ...rest: Certificate[]] {
  try {
    const [leaf, ...rest] = certChain.map(der => Certificate.parse(der))
    if (leaf === undefined) throw new Error('it has no certificate')
    const id = checkLeaf(leaf)
    if (!id.equals(entry.spiffeId)) throw new Error(`it is for ${id}`)
    if (!leaf.publicKey.equals(key.publicKey)) throw new Error('it is not for the key that was sent')
    return [leaf, ...rest]
  } catch (cause) {
    throw refused(entry, cause)
  }
}

/** Checks that a chain ends in an authority of the own trust domain and is valid now. */
export async function verifyX509(
  chain: readonly Certificate[],
  entry: AgentEntry,
  own: TrustBundle | undefined,
  now: Date,
): Promise<void> {
  try {
    if (own === undefined) throw new Error('there is no bundle to verify it with')
    await verifyX509Svid(chain, own.bundle, { now })
  } catch (cause) {
    throw refused(entry, cause)
  }
}

/** True if the authority of a refused certificate was not known: a newer bundle may hold it. */
export function needsNewerBundle(error: unknown): boolean {
  return error instanceof AgentError && isSpiffeError(error.cause, 'ERR_X509_SVID_UNTRUSTED')
}

function refused(entry: AgentEntry, cause: unknown): AgentError {
  return new AgentError(
    'ERR_AGENT_SERVER_REPLY',
    `the X509-SVID that the server gave for entry ${entry.id} (${entry.spiffeId}) cannot be used: ${reasonOf(cause)}`,
    { cause },
  )
}
