import { Certificate } from '@plastron/pki'
import { FakeClock, recordingLogger, recordingMetrics } from '@plastron/runtime/testing'
import { TrustDomain } from '@plastron/spiffe'
import type { CaConfig, TokenConfig } from '../config/server-config.ts'
import type { BundleRecord } from '../datastore/index.ts'
import { openTestDatastore, type TestDatastore } from '../datastore/test-datastore.ts'
import { Issuer, type IssuerOptions } from '../issuance/issuer.ts'
import type { KeyManager } from '../plugins/key-manager/key-manager.ts'
import { MemoryKeyManager } from '../plugins/key-manager/memory.ts'
import { Authorities, type AuthoritiesOptions } from './authorities.ts'

export const trustDomain = TrustDomain.parse('example.org')

const hourMs = 3_600_000
const token: TokenConfig = { enabled: true, keyType: 'ec-p256' }

/** What outlives a server: its clock, its datastore and its key manager. */
export class TestHouse implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly log = recordingLogger()
  readonly data: TestDatastore
  keyManager: KeyManager = new MemoryKeyManager()
  ca: CaConfig = {
    keyType: 'ec-p256',
    subject: { country: ['US'], organization: ['SPIFFE'], commonName: '' },
    ttlMs: 24 * hourMs,
  }
  jwt: TokenConfig = token
  wit: TokenConfig = token

  private constructor(data: TestDatastore) {
    this.data = data
  }

  static async open(): Promise<TestHouse> {
    return new TestHouse(await openTestDatastore())
  }

  /** Starts authorities, as a server that starts does. What a test wants other than the usual is given. */
  start(other: Partial<AuthoritiesOptions> = {}): Promise<Authorities> {
    return Authorities.open({
      trustDomain,
      datastore: this.data.store,
      keyManager: this.keyManager,
      ca: this.ca,
      jwt: this.jwt,
      wit: this.wit,
      clock: this.clock,
      log: this.log,
      metrics: recordingMetrics(),
      ...other,
    })
  }

  issuer(authorities: Authorities, other: Partial<IssuerOptions> = {}): Issuer {
    return new Issuer({
      trustDomain,
      authorities,
      clock: this.clock,
      defaultX509SvidTtlMs: hourMs,
      defaultJwtSvidTtlMs: 300_000,
      agentTtlMs: 2 * hourMs,
      caTtlMs: this.ca.ttlMs,
      ...other,
    })
  }

  /** Lets time pass, with a rotation each time. */
  async pass(authorities: Authorities, ms: number, stepMs = ms): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      await this.clock.advance(Math.min(stepMs, left))
      await authorities.rotate()
    }
  }

  async bundle(): Promise<BundleRecord> {
    const bundle = await this.data.store.bundles.get(trustDomain.name)
    if (bundle === undefined) throw new Error('there is no bundle')
    return bundle
  }

  /** The X.509 authorities of the bundle, by their ids. */
  async publishedX509(): Promise<string[]> {
    return (await this.bundle()).x509Authorities.map(({ der }) =>
      Buffer.from(Certificate.parse(der).subjectKeyId ?? []).toString('hex'),
    )
  }

  /** Begins anew, without the cost of another datastore. */
  async forget(): Promise<void> {
    const { bundles, caJournals } = this.data.store
    if ((await bundles.get(trustDomain.name)) !== undefined) await bundles.delete(trustDomain.name, 'delete')
    for (const { id } of await caJournals.list()) await caJournals.delete(id)
    this.keyManager = new MemoryKeyManager()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keyManager[Symbol.asyncDispose]()
    await this.data[Symbol.asyncDispose]()
  }
}
