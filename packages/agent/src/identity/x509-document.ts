import type { Certificate, PrivateKey } from '@plastron/pki'
import { type RenewalOptions, renewalTime } from '../renewal/renewal.ts'

/** An X509-SVID that the agent holds for workloads. Immutable; it is encoded once, however many workloads get it. */
export class X509Document {
  /** Leaf first, without the root. */
  readonly chain: readonly [leaf: Certificate, ...rest: Certificate[]]
  readonly notAfter: Date
  /** When to replace it, by the server's clock. */
  readonly renewAt: Date
  /** The chain as concatenated DER. */
  readonly chainDer: Uint8Array
  /** The key as PKCS#8 DER (STD-WA-013). */
  readonly keyDer: Uint8Array

  constructor(chain: readonly [leaf: Certificate, ...rest: Certificate[]], key: PrivateKey, renewal: RenewalOptions) {
    this.chain = chain
    this.notAfter = chain[0].notAfter
    this.renewAt = renewalTime(chain[0], renewal)
    this.chainDer = Buffer.concat(chain.map(({ der }) => der))
    this.keyDer = key.toPkcs8()
    Object.freeze(this)
  }

  /** Its whole life in milliseconds. */
  get lifeMs(): number {
    return this.notAfter.getTime() - this.chain[0].notBefore.getTime()
  }

  isValidAt(time: Date): boolean {
    return time <= this.notAfter
  }
}
