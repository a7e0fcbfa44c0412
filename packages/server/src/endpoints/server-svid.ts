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
  readonly #taintedIds = new Set<string>()

  private constructor(options: ServerSvidOptions, current: CurrentSvid) {
    this.#options = options
    this.#current = current
    this.#stopListening = options.authorities.onChange(({ what, authority }) => {
      if (what === 'tainted' && authority.kind === 'x509') this.#taintedIds.add(authority.id)
    })
  }

  static async open(options: ServerSvidOptions): Promise<ServerSvid> {
    return new ServerSvid(options, await issue(options))
  }

  get identity(): TlsIdentity {
    return this.#current.identity
  }

  /** The SVID and, while it is known, the authority that signed it, as operators are shown them. */
  get path(): readonly Certificate[] {
    const { leaf, authorityId } = this.#current
    const { current, next } = this.#options.authorities.slots('x509')
    const signer = [current?.authority, next?.authority].find(authority => authority?.id === authorityId)
    return signer?.kind === 'x509' ? [leaf, signer.certificate] : [leaf]
  }

  onRenewed(listener: (identity: TlsIdentity) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Renews it when that is due. A failure is logged and tried again with the next call. */
  async renewIfDue(): Promise<void> {
    const { clock, log } = this.#options
    const { leaf, issuedAt, authorityId } = this.#current
    const halfOfLife = issuedAt.getTime() + (leaf.notAfter.getTime() - issuedAt.getTime()) / 2
    if (!this.#taintedIds.has(authorityId) && clock.now().getTime() < halfOfLife) return
    try {
      const renewed = await issue(this.#options)
      // Whoever cannot take it up now is asked again: it counts as renewed only when everybody shows it.
      for (const listener of this.#listeners) listener(renewed.identity)
      this.#current = renewed
      log.debug('Rotated the server’s own X509-SVID', { expiration: renewed.leaf.notAfter })
    } catch (error) {
      log.error('Could not rotate the server’s own X509-SVID; it is tried again', { error })
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening()
    this.#listeners.clear()
  }
}

async function issue({ issuer, keyType, clock }: ServerSvidOptions): Promise<CurrentSvid> {
  const key = await PrivateKey.generate(keyType)
  const issued = await issuer.serverX509(key.publicKey)
  const [der] = issued.chain
  if (der === undefined) throw new Error('the issuer returned no certificate')
  const leaf = Certificate.parse(der)
  // Another authority may have become the active one meanwhile: the certificate says which one signed.
  const authorityId = Buffer.from(leaf.authorityKeyId ?? []).toString('hex')
  return { identity: { key, chain: issued.chain }, leaf, issuedAt: clock.now(), authorityId }
}
