import { Certificate, PrivateKey } from '@plastron/pki'
import type { Clock, Logger, TlsIdentity } from '@plastron/runtime'
import type { Authorities } from '../authority/authorities.ts'
import type { AuthorityKeyType } from '../config/server-config.ts'
import type { Issuer } from '../issuance/issuer.ts'

/** What the server's own X509-SVID is made with. */
export interface ServerSvidOptions {
  readonly issuer: Issuer
  readonly authorities: Authorities
  readonly keyType: AuthorityKeyType
  readonly clock: Clock
  readonly log: Logger
}

interface CurrentSvid {
  readonly identity: TlsIdentity
  readonly leaf: Certificate
  readonly issuedAt: Date
  /** The authority that signed it, by id. */
  readonly authorityId: string
}

/**
 * The server's own X509-SVID; its key is held in memory only. It is renewed after half of its life, and at once when the
 * authority that signed it was tainted (SRV-ISS-061).
 */
export class ServerSvid implements Disposable {
  readonly #options: ServerSvidOptions
  readonly #stopListening: () => void
  readonly #listeners = new Set<(identity: TlsIdentity) => void>()
  #current: CurrentSvid
  #tainted = false

  private constructor(options: ServerSvidOptions, current: CurrentSvid) {
    this.#options = options
    this.#current = current
    this.#stopListening = options.authorities.onChange(({ what, authority }) => {
      if (what === 'tainted' && authority.id === this.#current.authorityId) this.#tainted = true
    })
  }

  static async open(options: ServerSvidOptions): Promise<ServerSvid> {
    return new ServerSvid(options, await issue(options))
  }

  get identity(): TlsIdentity {
    return this.#current.identity
  }

  /** The SVID and the authority that signed it, as operators are shown it. */
  get path(): readonly Certificate[] {
    const { certificate } = this.#options.authorities.active('x509')
    return [this.#current.leaf, certificate]
  }

  onRenewed(listener: (identity: TlsIdentity) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Renews it when that is due. A failure is logged and tried again with the next call. */
  async renewIfDue(): Promise<void> {
    const { clock, log } = this.#options
    const { leaf, issuedAt } = this.#current
    const halfOfLife = issuedAt.getTime() + (leaf.notAfter.getTime() - issuedAt.getTime()) / 2
    if (!this.#tainted && clock.now().getTime() < halfOfLife) return
    try {
      this.#current = await issue(this.#options)
      this.#tainted = false
      log.debug('Rotated the server’s own X509-SVID', { expiration: this.#current.leaf.notAfter })
      for (const listener of this.#listeners) listener(this.#current.identity)
    } catch (error) {
      log.error('Could not rotate the server’s own X509-SVID; it is tried again', { error })
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening()
    this.#listeners.clear()
  }
}

async function issue({ issuer, authorities, keyType, clock }: ServerSvidOptions): Promise<CurrentSvid> {
  const key = await PrivateKey.generate(keyType)
  const authorityId = authorities.active('x509').id
  const issued = await issuer.serverX509(key.publicKey)
  const [leaf] = issued.chain
  if (leaf === undefined) throw new Error('the issuer returned no certificate')
  return { identity: { key, chain: issued.chain }, leaf: Certificate.parse(leaf), issuedAt: clock.now(), authorityId }
}
