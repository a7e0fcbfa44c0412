import type { SpiffeId } from '@plastron/spiffe'
import type { PeerProcess } from './peer-process.ts'

/** Who is at the other end of a TLS connection, after verification. */
export interface VerifiedIdentity {
  /** Of the leaf. */
  readonly spiffeId: SpiffeId
  /** Of the leaf, in decimal. The certificates themselves are not kept: thousands of idle connections would hold them. */
  readonly serialNumber: string
  /** The end of the identity, and with it of the connection: the earliest end of validity in the chain. */
  readonly notAfter: Date
}

/** The caller on a TLS connection. */
export interface TlsPeer {
  /** Tells it from a caller on a Unix socket. */
  readonly kind: 'tls'
  /** IP address; behind a trusted proxy, the one that the PROXY protocol names. */
  readonly address: string
  /** TCP port of the address. */
  readonly port: number
  /** Absent when the peer presented no certificate. */
  readonly identity?: VerifiedIdentity | undefined
}

/** The caller on a Unix socket, as the kernel named it when it connected. */
export interface UnixPeer {
  /** Tells it from a caller over TLS. */
  readonly kind: 'unix'
  /** Effective user of the process when it connected. */
  readonly uid: number
  /** Effective group of the process when it connected. */
  readonly gid: number
  /** In the listener's PID namespace; never 0. */
  readonly pid: number
  /** The process that connected, held so that its number cannot come to mean another one. Valid until the connection ends. */
  readonly process: PeerProcess
  /** The socket that it connected to. */
  readonly socketPath: string
}

/** Who is at the other end of a connection. */
export type Peer = TlsPeer | UnixPeer
