import { Certificate } from '@plastron/pki'
import type { Clock, Logger, Metrics } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'
import type { CaConfig, TokenConfig } from '../config/server-config.ts'
import type { AuthorityNames, BundleAuthorities, Datastore } from '../datastore/index.ts'
import type { KeyManager } from '../plugins/key-manager/key-manager.ts'
import {
  type Authority,
  type AuthorityKind,
  type AuthorityStatus,
  authorityKinds,
  isTimeToActivate,
  isTimeToPrepare,
  type Slot,
  type SlotId,
  type Slots,
  slotKeyId,
  type TokenAuthority,
  type X509Authority,
} from './authority.ts'
import { AuthorityError } from './authority-error.ts'
import { makeSelfSignedAuthority, randomKeyId, tokenAuthority, x509Authority } from './build-authority.ts'
import { type JournalRecord, withRecord } from './journal.ts'
import { JournalStore } from './journal-store.ts'

/** What the authorities are made from. All of it stays its maker's. */
export interface AuthoritiesOptions {
  readonly trustDomain: TrustDomain
  readonly datastore: Pick<Datastore, 'bundles' | 'caJournals'>
  readonly keyManager: KeyManager
  readonly ca: CaConfig
  readonly jwt: TokenConfig
  readonly wit: TokenConfig
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** Called after an authority began to sign, or after one was tainted. */
export type AuthorityListener = (event: {
  readonly what: 'activated' | 'tainted'
  readonly authority: Authority
}) => void

type AuthorityOf<Kind extends AuthorityKind> = Kind extends 'x509' ? X509Authority : TokenAuthority

/**
 * The signing authorities of a trust domain: two slots of each kind, one of which signs. They are prepared ahead, published
 * before they sign, and found again after a restart. Each kind fails and recovers by itself.
 *
 * Changes happen one after the other; reading is free.
 */
export class Authorities {
  readonly #options: AuthoritiesOptions
  readonly #journal: JournalStore
  readonly #slots: Record<AuthorityKind, Slots> = {
    x509: { current: undefined, next: undefined },
    jwt: { current: undefined, next: undefined },
    wit: { current: undefined, next: undefined },
  }
  readonly #listeners = new Set<AuthorityListener>()
  #last: Promise<unknown> = Promise.resolve()
  #failures = 0

  private constructor(options: AuthoritiesOptions) {
    this.#options = options
    this.#journal = new JournalStore(options.datastore.caJournals, options.log)
  }

  /** Takes up the authorities of before, then prepares and activates what is missing. Resolves when every enabled kind signs. */
  static async open(options: AuthoritiesOptions): Promise<Authorities> {
    const authorities = new Authorities(options)
    await authorities.#load()
    await authorities.#exclusively(() => authorities.#rotateAll())
    authorities.active('x509')
    return authorities
  }

  isEnabled(kind: AuthorityKind): boolean {
    return kind === 'x509' || this.#options[kind].enabled
  }

  /** The authority that signs now. @throws {@link AuthorityError} `ERR_AUTHORITY_NOT_READY`, `ERR_AUTHORITY_DISABLED` */
  active<Kind extends AuthorityKind>(kind: Kind): AuthorityOf<Kind> {
    const { current } = this.slots(kind)
    if (current?.status !== 'active')
      throw new AuthorityError('ERR_AUTHORITY_NOT_READY', `${kind} authority is not available for signing`)
    return current.authority as AuthorityOf<Kind>
  }

  /** Both slots as they are. @throws {@link AuthorityError} `ERR_AUTHORITY_DISABLED` */
  slots(kind: AuthorityKind): Slots {
    if (!this.isEnabled(kind)) throw new AuthorityError('ERR_AUTHORITY_DISABLED', `${kind} functionality is disabled`)
    return this.#slots[kind]
  }

  onChange(listener: AuthorityListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** How many rotations have failed since the last one that succeeded. */
  get failures(): number {
    return this.#failures
  }

  /** Prepares and activates what is due, and publishes our authorities again should the bundle have lost them. Never throws. */
  async rotate(): Promise<void> {
    await this.#exclusively(() => this.#rotateAll())
  }

  /** Makes a new authority in the other slot, in place of what was there, and publishes it. @throws {@link AuthorityError} */
  prepare<Kind extends AuthorityKind>(kind: Kind): Promise<AuthorityOf<Kind>> {
    return this.#exclusively(async () => {
      this.active(kind)
      return (await this.#prepare(kind)) as AuthorityOf<Kind>
    })
  }

  /** Lets the prepared authority sign; the one before becomes old. @throws {@link AuthorityError} `_ARGUMENT`, `_STATE` */
  activate<Kind extends AuthorityKind>(kind: Kind, id: string): Promise<AuthorityOf<Kind>> {
    return this.#exclusively(async () => {
      const { next } = this.slots(kind)
      if (id === '' || next?.authority.id !== id)
        throw new AuthorityError('ERR_AUTHORITY_ARGUMENT', `unexpected authority ID: ${JSON.stringify(id)}`)
      if (next.status !== 'prepared')
        throw new AuthorityError(
          'ERR_AUTHORITY_STATE',
          `only Prepared authorities can be activated: ${id} is ${next.status}`,
        )
      await this.#activate(kind)
      return this.active(kind)
    })
  }

  /** Marks the old authority as no longer to be trusted for long: what it signed is renewed. @throws {@link AuthorityError} */
  taint(kind: AuthorityKind, id: string): Promise<Authority> {
    return this.#exclusively(async () => {
      const authority = this.#old(kind, id)
      try {
        await this.#options.datastore.bundles.taint(this.#options.trustDomain.name, names(authority))
      } catch (cause) {
        throw bundleFailure('taint', authority, cause)
      }
      this.#tell('tainted', authority)
      this.#options.log.info(`${kind === 'x509' ? 'X.509' : kind.toUpperCase()} authority tainted successfully`, {
        local_authority_id: id,
      })
      return authority
    })
  }

  /** Takes a tainted old authority out of the bundle. @throws {@link AuthorityError} */
  revoke(kind: AuthorityKind, id: string): Promise<Authority> {
    return this.#exclusively(async () => {
      const authority = this.#old(kind, id)
      try {
        await this.#options.datastore.bundles.revoke(this.#options.trustDomain.name, names(authority))
      } catch (cause) {
        throw bundleFailure('revoke', authority, cause)
      }
      this.#slots[kind] = { ...this.#slots[kind], next: undefined }
      this.#options.log.info(`${kind === 'x509' ? 'X.509' : kind.toUpperCase()} authority revoked successfully`, {
        local_authority_id: id,
      })
      return authority
    })
  }

  /** Removes from the bundle what ended more than a day ago (SRV-ISS-059); never everything. */
  async pruneBundle(): Promise<void> {
    const { datastore, trustDomain, clock, log } = this.#options
    const before = clock.now().getTime() - 86_400_000
    const bundle = await datastore.bundles.get(trustDomain.name)
    if (bundle === undefined) return
    const ended = (expiresAt: number) => expiresAt !== 0 && expiresAt * 1000 < before
    const x509 = bundle.x509Authorities
      .filter(({ der }) => Certificate.parse(der).notAfter.getTime() < before)
      .map(({ der }) => der)
    const jwt = bundle.jwtAuthorities.filter(({ expiresAt }) => ended(expiresAt)).map(({ keyId }) => keyId)
    const wit = bundle.witAuthorities.filter(({ expiresAt }) => ended(expiresAt)).map(({ keyId }) => keyId)
    if (x509.length + jwt.length + wit.length === 0) return
    if (x509.length === bundle.x509Authorities.length) {
      log.error('Pruning would leave the bundle without an X.509 authority; it is left as it is')
      return
    }
    await datastore.bundles.prune(trustDomain.name, { x509, jwt, wit })
    log.info('Expired authorities were pruned from the bundle', { x509: x509.length, jwt: jwt.length, wit: wit.length })
  }

  #old(kind: AuthorityKind, id: string): Authority {
    const { current, next } = this.slots(kind)
    if (id === '') throw new AuthorityError('ERR_AUTHORITY_ARGUMENT', 'no authority ID provided')
    if (current?.authority.id === id)
      throw new AuthorityError('ERR_AUTHORITY_ARGUMENT', 'unable to use current authority')
    if (next?.authority.id !== id)
      throw new AuthorityError('ERR_AUTHORITY_ARGUMENT', `no ${kind} authority found with ID ${JSON.stringify(id)}`)
    if (next.status !== 'old')
      throw new AuthorityError('ERR_AUTHORITY_ARGUMENT', 'only Old local authorities can be tainted or revoked')
    return next.authority
  }

  async #rotateAll(): Promise<void> {
    let failed = false
    for (const kind of authorityKinds) {
      if (!this.isEnabled(kind)) continue
      try {
        await this.#rotate(kind)
        await this.#publishOwn(kind)
      } catch (error) {
        failed = true
        this.#options.log.error(`Rotation of the ${kind} authority failed; it is tried again`, { error })
        // Without a CA there is nothing to attest agents with: a new trust domain begins with it (SRV-ISS-054).
        if (kind === 'x509' && this.#slots.x509.current === undefined) break
      }
    }
    this.#failures = failed ? this.#failures + 1 : 0
  }

  async #rotate(kind: AuthorityKind): Promise<void> {
    const now = this.#options.clock.now()
    const { current } = this.#slots[kind]
    if (current === undefined || current.authority.notAfter <= now) {
      if (this.#slots[kind].next?.status !== 'prepared') await this.#prepare(kind)
      await this.#activate(kind)
      return
    }
    if (isTimeToPrepare(current.authority, now) && this.#slots[kind].next?.status !== 'prepared')
      await this.#prepare(kind)
    if (isTimeToActivate(current.authority, now) && this.#slots[kind].next?.status === 'prepared')
      await this.#activate(kind)
  }

  async #prepare(kind: AuthorityKind): Promise<Authority> {
    const { keyManager, log } = this.#options
    const { current } = this.#slots[kind]
    const slot: SlotId = current?.authority.slot === 'A' ? 'B' : 'A'
    let authority: Authority
    try {
      const keyType = kind === 'x509' ? this.#options.ca.keyType : this.#options[kind].keyType
      const { signer } = await keyManager.generateKey(slotKeyId(kind, slot), keyType)
      const now = this.#options.clock.now()
      const notAfter = new Date(Math.floor((now.getTime() + this.#options.ca.ttlMs) / 1000) * 1000)
      authority =
        kind === 'x509'
          ? await makeSelfSignedAuthority({
              trustDomain: this.#options.trustDomain,
              subject: this.#options.ca.subject,
              slot,
              signer,
              ttlMs: this.#options.ca.ttlMs,
              now,
            })
          : tokenAuthority({ kind, id: randomKeyId(), slot, signer, issuedAt: now, notAfter })
      // Published before it signs anything.
      await this.#options.datastore.bundles.append(this.#options.trustDomain.name, contribution(authority))
    } catch (cause) {
      throw new AuthorityError('ERR_AUTHORITY_PREPARE', `failed to prepare ${kind} authority: ${reasonOf(cause)}`, {
        cause,
      })
    }
    this.#slots[kind] = { ...this.#slots[kind], next: { authority, status: 'prepared' } }
    await this.#record(kind, authority, 'prepared')
    log.info(`${title(kind)} authority prepared`, {
      slot,
      local_authority_id: authority.id,
      expiration: authority.notAfter,
    })
    return authority
  }

  async #activate(kind: AuthorityKind): Promise<void> {
    const { current, next } = this.#slots[kind]
    if (next?.status !== 'prepared') throw new AuthorityError('ERR_AUTHORITY_STATE', `no ${kind} authority is prepared`)
    const old: Slot | undefined = current === undefined ? undefined : { authority: current.authority, status: 'old' }
    this.#slots[kind] = { current: { authority: next.authority, status: 'active' }, next: old }
    if (old !== undefined) await this.#record(kind, old.authority, 'old')
    await this.#record(kind, next.authority, 'active')
    const { slot, id, notAfter } = next.authority
    this.#options.log.info(`${title(kind)} authority activated`, { slot, local_authority_id: id, expiration: notAfter })
    this.#tell('activated', next.authority)
  }

  /** Notes a step in the journal. Failing to do so is no reason to stop signing: the next step notes it too. */
  async #record(kind: AuthorityKind, authority: Authority, status: AuthorityStatus): Promise<void> {
    const record: JournalRecord = {
      authorityId: authority.id,
      slot: authority.slot,
      status,
      issuedAt: Math.floor(authority.issuedAt.getTime() / 1000),
      notAfter: Math.floor(authority.notAfter.getTime() / 1000),
      documents:
        authority.kind === 'x509'
          ? [authority.certificate.der, ...authority.upstreamChain]
          : [authority.signer.publicKey.spki],
    }
    const { current } = this.#slots.x509
    try {
      await this.#journal.replace(withRecord(this.#journal.journal, kind, record), current?.authority.id)
    } catch (error) {
      this.#options.log.error(
        'The journal of signing authorities could not be stored; it is tried again with the next change',
        { error },
      )
    }
  }

  /** An authority of ours that the bundle lacks, while it may still sign or have signed, is put back. */
  async #publishOwn(kind: AuthorityKind): Promise<void> {
    const { datastore, trustDomain, clock, log } = this.#options
    const bundle = await datastore.bundles.get(trustDomain.name)
    for (const slot of [this.#slots[kind].current, this.#slots[kind].next]) {
      // An old one may have been revoked on purpose.
      if (slot === undefined || slot.status === 'old' || slot.authority.notAfter <= clock.now()) continue
      const { authority } = slot
      const isThere =
        authority.kind === 'x509'
          ? bundle?.x509Authorities.some(({ der }) => Buffer.compare(der, authority.certificate.der) === 0)
          : (authority.kind === 'jwt' ? bundle?.jwtAuthorities : bundle?.witAuthorities)?.some(
              ({ keyId }) => keyId === authority.id,
            )
      if (isThere === true) continue
      log.warn('An authority of this server was missing from the bundle and is published again', {
        local_authority_id: authority.id,
      })
      await datastore.bundles.append(trustDomain.name, contribution(authority))
    }
  }

  /** Finds the authorities of before: not ended, their key still in the key manager, still in the bundle (SRV-ISS-057). */
  async #load(): Promise<void> {
    const { keyManager, datastore, trustDomain, clock, log } = this.#options
    const keys = await keyManager.listKeys()
    await this.#journal.load(
      new Set(keys.map(({ signer }) => Buffer.from(signer.publicKey.subjectKeyId()).toString('hex'))),
    )
    const bundle = await datastore.bundles.get(trustDomain.name)
    for (const kind of authorityKinds) {
      const found: Slot[] = []
      for (const record of this.#journal.journal[kind]) {
        if (record.notAfter * 1000 <= clock.now().getTime()) continue
        const key = keys.find(({ id }) => id === slotKeyId(kind, record.slot))
        const [document] = record.documents
        if (key === undefined || document === undefined) continue
        const issuedAt = new Date(record.issuedAt * 1000)
        if (kind === 'x509') {
          const certificate = Certificate.parse(document)
          if (!certificate.publicKey.equals(key.signer.publicKey)) continue
          // A bundle that lost its rows gets them back; one that has others lacks ours because it was revoked.
          if (
            bundle !== undefined &&
            bundle.x509Authorities.length > 0 &&
            !bundle.x509Authorities.some(({ der }) => Buffer.compare(der, document) === 0)
          )
            continue
          const authority = x509Authority({
            slot: record.slot,
            signer: key.signer,
            certificate,
            upstreamChain: record.documents.slice(1),
            issuedAt,
          })
          found.push({ authority, status: record.status })
        } else {
          if (Buffer.compare(key.signer.publicKey.spki, document) !== 0) continue
          const published = kind === 'jwt' ? bundle?.jwtAuthorities : bundle?.witAuthorities
          if (
            published !== undefined &&
            published.length > 0 &&
            !published.some(({ keyId }) => keyId === record.authorityId)
          )
            continue
          const notAfter = new Date(record.notAfter * 1000)
          const authority = tokenAuthority({
            kind,
            id: record.authorityId,
            slot: record.slot,
            signer: key.signer,
            issuedAt,
            notAfter,
          })
          found.push({ authority, status: record.status })
        }
      }
      const current = found.findLast(({ status }) => status === 'active')
      const next = found.findLast(slot => slot !== current && slot.authority.slot !== current?.authority.slot)
      this.#slots[kind] = { current, next: next?.status === 'active' ? { ...next, status: 'old' } : next }
      if (current !== undefined)
        log.info(`${title(kind)} authority taken up again`, {
          local_authority_id: current.authority.id,
          expiration: current.authority.notAfter,
        })
    }
  }

  #tell(what: 'activated' | 'tainted', authority: Authority): void {
    for (const listener of this.#listeners) listener({ what, authority })
  }

  #exclusively<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task)
    this.#last = result.catch(() => undefined)
    return result
  }
}

function title(kind: AuthorityKind): string {
  return kind === 'x509' ? 'X.509' : kind.toUpperCase()
}

/** What an authority adds to the bundle. */
function contribution(authority: Authority): BundleAuthorities {
  if (authority.kind === 'x509') return { x509Authorities: [{ der: authority.certificate.der, tainted: false }] }
  const key = {
    keyId: authority.id,
    publicKey: authority.signer.publicKey.spki,
    expiresAt: Math.floor(authority.notAfter.getTime() / 1000),
    tainted: false,
  }
  return authority.kind === 'jwt' ? { jwtAuthorities: [key] } : { witAuthorities: [key] }
}

function names(authority: Authority): AuthorityNames {
  if (authority.kind === 'x509') return { x509: [authority.certificate.der] }
  return authority.kind === 'jwt' ? { jwt: [authority.id] } : { wit: [authority.id] }
}

function bundleFailure(verb: string, authority: Authority, cause: unknown): AuthorityError {
  return new AuthorityError('ERR_AUTHORITY_STATE', `failed to ${verb} authority ${authority.id}: ${reasonOf(cause)}`, {
    cause,
  })
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
