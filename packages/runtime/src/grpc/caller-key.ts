import { addressKey } from '../listeners/address-key.ts'
import type { Peer } from '../listeners/peer.ts'

/** What counts as one caller: a local user; who proved an identity is that identity, wherever it calls from; anybody else its address. */
export function callerKey(peer: Peer): string {
  if (peer.kind === 'unix') return `uid ${peer.uid}`
  return peer.identity?.spiffeId.toString() ?? addressKey(peer.address)
}
