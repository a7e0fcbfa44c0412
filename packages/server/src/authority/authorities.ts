import type { Clock, Logger, Metrics } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'
import type { CaConfig, TokenConfig } from '../config/server-config.ts'
import { type Datastore, isDatastoreError } from '../datastore/index.ts'
import type { KeyManager } from '../plugins/key-manager/key-manager.ts'
import {
  type Authority,
  type AuthorityKind,
  authorityKinds,
  authorityTitle,
  isTimeToActivate,
  isTimeToPrepare,
  type Slot,
  type SlotId,
  type Slots,
  type TokenAuthority,
  type X509Authority,
} from './authority.ts'
import { AuthorityError } from './authority-error.ts'
import { recordOf } from './journal.ts'
import { JournalStore } from './journal-store.ts'
import { loadSlots } from './load-slots.ts'
import { prepareAuthority } from './prepare-authority.ts'
import { pruneBundle } from './prune-bundle.ts'
import { contributionOf, namesOf, publishedAs, publishedKeys, tokenNames } from './published.ts'

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

  /**
   * Takes up the authorities of before, then prepares and activates what is missing. Resolves when X.509 signs; another kind that
   * failed is tried again with the next {@link rotate}.
   *
   * @throws {@link AuthorityError} `ERR_AUTHORITY_NOT_READY` without an X.509 authority; what the datastore or the key manager throws
   */
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
      const { datastore, trustDomain, log } = this.#options
      const authority = this.#old(kind, id)
      try {
        await datastore.bundles.taint(trustDomain.name, namesOf(authority))
      } catch (cause) {
        throw bundleFailure('taint', id, cause)
      }
      this.#slots[kind] = { ...this.#slots[kind], next: { authority, status: 'old', tainted: true } }
      log.info(`${authorityTitle(kind)} authority tainted successfully`, { local_authority_id: id })
      this.#tell('tainted', authority)
      return authority
    })
  }

  /**
   * Takes a tainted authority out of the bundle: the old one, or a key for tokens that no server needs any more (SRV-API-118).
   *
   * @throws {@link AuthorityError}
   */
  revoke(kind: AuthorityKind, id: string): Promise<Pick<Authority, 'id' | 'notAfter'>> {
    return this.#exclusively(async () => {
      const { datastore, trustDomain, log } = this.#options
      const former = kind === 'x509' ? undefined : await this.#former(kind, id)
      const authority = former ?? this.#old(kind, id)
      const names = kind !== 'x509' ? tokenNames(kind, id) : namesOf(this.#old(kind, id))
      try {
        await datastore.bundles.revoke(trustDomain.name, names)
      } catch (cause) {
        throw bundleFailure('revoke', id, cause)
      }
      if (former === undefined) this.#slots[kind] = { ...this.#slots[kind], next: undefined }
      log.info(`${authorityTitle(kind)} authority revoked successfully`, { local_authority_id: id })
      return authority
    })
  }

  /** Removes from the bundle what ended more than a day ago (SRV-ISS-059); never everything. */
  pruneBundle(): Promise<void> {
    return pruneBundle(this.#options)
  }

  /** Removes journals of servers that are no more: all of their authorities ended more than 14 days ago (SRV-ISS-060). */
  async pruneJournals(): Promise<void> {
    const count = await this.#journal.prune(Math.floor(this.#options.clock.now().getTime() / 1000) - 14 * 86_400)
    if (count > 0) this.#options.log.info('Pruned journals of former signing authorities', { count })
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

  /** A key in the bundle that is in neither of our slots. */
  async #former(kind: 'jwt' | 'wit', id: string): Promise<Pick<Authority, 'id' | 'notAfter'> | undefined> {
    const { current, next } = this.slots(kind)
    if (id === '' || id === current?.authority.id || id === next?.authority.id) return undefined
    const bundle = await this.#options.datastore.bundles.get(this.#options.trustDomain.name)
    const key = publishedKeys(bundle, kind).find(({ keyId }) => keyId === id)
    return key === undefined ? undefined : { id, notAfter: new Date(key.expiresAt * 1000) }
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
    if (!(await this.#saveJournal())) failed = true
    this.#failures = failed ? this.#failures + 1 : 0
  }

  async #rotate(kind: AuthorityKind): Promise<void> {
    const now = this.#options.clock.now()
    const { current } = this.#slots[kind]
    if (current === undefined || current.authority.notAfter <= now) {
      const { next } = this.#slots[kind]
      // A machine that slept through both lives: nothing that ended begins to sign.
      if (next?.status !== 'prepared' || next.authority.notAfter <= now) await this.#prepare(kind)
      await this.#activate(kind)
      return
    }
    if (isTimeToPrepare(current.authority, now) && this.#slots[kind].next?.status !== 'prepared')
      await this.#prepare(kind)
    if (isTimeToActivate(current.authority, now) && this.#slots[kind].next?.status === 'prepared')
      await this.#activate(kind)
  }

  async #prepare(kind: AuthorityKind): Promise<Authority> {
    const slot = this.#freeSlot(kind)
    const authority = await prepareAuthority(kind, slot, this.#options, () => {
      // The key of whoever was there is gone from the key manager.
      if (this.#slots[kind].next?.authority.slot === slot) this.#slots[kind] = { ...this.#slots[kind], next: undefined }
    })
    this.#slots[kind] = { ...this.#slots[kind], next: { authority, status: 'prepared', tainted: false } }
    await this.#record(kind, { authority, status: 'prepared' })
    this.#options.log.info(`${authorityTitle(kind)} authority prepared`, {
      slot,
      local_authority_id: authority.id,
      expiration: authority.notAfter,
    })
    return authority
  }

  async #activate(kind: AuthorityKind): Promise<void> {
    const { current, next } = this.#slots[kind]
    if (next?.status !== 'prepared') throw new AuthorityError('ERR_AUTHORITY_STATE', `no ${kind} authority is prepared`)
    const active: Slot = { ...next, status: 'active' }
    const old: Slot | undefined = current === undefined ? undefined : { ...current, status: 'old' }
    this.#slots[kind] = { current: active, next: old }
    await this.#record(kind, ...(old === undefined ? [] : [old]), active)
    const { slot, id, notAfter } = next.authority
    this.#options.log.info(`${authorityTitle(kind)} authority activated`, {
      slot,
      local_authority_id: id,
      expiration: notAfter,
    })
    this.#tell('activated', next.authority)
  }

  /** Notes a step in the journal. Failing to do so is no reason to stop signing: the next rotation stores it. */
  async #record(kind: AuthorityKind, ...slots: Pick<Slot, 'authority' | 'status'>[]): Promise<void> {
    for (const { authority, status } of slots) this.#journal.note(kind, recordOf(authority, status))
    await this.#saveJournal()
  }

  async #saveJournal(): Promise<boolean> {
    try {
      await this.#journal.save(this.#slots.x509.current?.authority.id)
      return true
    } catch (error) {
      this.#options.log.error('The journal of signing authorities could not be stored; it is tried again', { error })
      return false
    }
  }

  /** The slot that is not in use. The key of the last active authority stays where it is: the journal is found by it. */
  #freeSlot(kind: AuthorityKind): SlotId {
    const used =
      this.#slots[kind].current?.authority.slot ??
      this.#journal.journal[kind].findLast(({ status }) => status === 'active')?.slot
    return used === 'A' ? 'B' : 'A'
  }

  /** An authority of ours that the bundle lacks, while it may still sign or have signed, is put back. */
  async #publishOwn(kind: AuthorityKind): Promise<void> {
    const { datastore, trustDomain, clock, log } = this.#options
    const bundle = await datastore.bundles.get(trustDomain.name)
    for (const slot of [this.#slots[kind].current, this.#slots[kind].next]) {
      if (slot === undefined || slot.tainted || slot.authority.notAfter <= clock.now()) continue
      const { authority } = slot
      if (publishedAs(bundle, authority) !== undefined) continue
      log.warn('An authority of this server was missing from the bundle and is published again', {
        local_authority_id: authority.id,
      })
      await datastore.bundles.append(trustDomain.name, contributionOf(authority))
    }
  }

  async #load(): Promise<void> {
    const { keyManager, datastore, trustDomain, clock, log } = this.#options
    const keys = await keyManager.listKeys()
    await this.#journal.load(
      new Set(keys.map(({ signer }) => Buffer.from(signer.publicKey.subjectKeyId()).toString('hex'))),
    )
    const bundle = await datastore.bundles.get(trustDomain.name)
    for (const kind of authorityKinds) {
      const records = this.#journal.journal[kind]
      const slots = loadSlots(kind, { records, keys, bundle, now: clock.now(), log })
      this.#slots[kind] = slots
      if (slots.current === undefined) continue
      const { slot, id, notAfter } = slots.current.authority
      log.info(`${authorityTitle(kind)} authority taken up again`, {
        slot,
        local_authority_id: id,
        expiration: notAfter,
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

/** Not tainted yet, tainted already, gone: the order of steps is wrong. Anything else is a trouble of ours. */
function bundleFailure(verb: string, id: string, cause: unknown): AuthorityError {
  const isState = isDatastoreError(cause, 'ERR_DATASTORE_INVALID') || isDatastoreError(cause, 'ERR_DATASTORE_NOT_FOUND')
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new AuthorityError(
    isState ? 'ERR_AUTHORITY_STATE' : 'ERR_AUTHORITY_STORAGE',
    `failed to ${verb} authority ${id}: ${reason}`,
    { cause },
  )
}
