import type { Clock } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'
import type { CaConfig, TokenConfig } from '../config/server-config.ts'
import type { Datastore } from '../datastore/index.ts'
import type { KeyManager } from '../plugins/key-manager/key-manager.ts'
import { type Authority, type AuthorityKind, authorityTitle, type SlotId, slotKeyId } from './authority.ts'
import { AuthorityError } from './authority-error.ts'
import { makeSelfSignedAuthority, randomKeyId, tokenAuthority } from './build-authority.ts'
import { contributionOf } from './published.ts'

/** What an authority is made with. */
export interface PrepareOptions {
  readonly trustDomain: TrustDomain
  readonly datastore: Pick<Datastore, 'bundles'>
  readonly keyManager: KeyManager
  readonly ca: CaConfig
  readonly jwt: TokenConfig
  readonly wit: TokenConfig
  readonly clock: Clock
}

/**
 * Makes an authority with a new key, proves it, and publishes it: all of that before it signs anything for anybody.
 *
 * @param onKeyReplaced - called once the key manager has forgotten the key that the slot had.
 * @throws {@link AuthorityError} `ERR_AUTHORITY_PREPARE`
 */
export async function prepareAuthority(
  kind: AuthorityKind,
  slot: SlotId,
  options: PrepareOptions,
  onKeyReplaced: () => void,
): Promise<Authority> {
  const { trustDomain, datastore, keyManager, ca, clock } = options
  try {
    const keyType = kind === 'x509' ? ca.keyType : options[kind].keyType
    const { signer } = await keyManager.generateKey(slotKeyId(kind, slot), keyType)
    onKeyReplaced()
    const now = clock.now()
    const notAfter = new Date(Math.floor((now.getTime() + ca.ttlMs) / 1000) * 1000)
    const authority =
      kind === 'x509'
        ? await makeSelfSignedAuthority({ trustDomain, subject: ca.subject, slot, signer, ttlMs: ca.ttlMs, now })
        : tokenAuthority({ kind, id: randomKeyId(), slot, signer, issuedAt: now, notAfter })
    await datastore.bundles.append(trustDomain.name, contributionOf(authority))
    return authority
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new AuthorityError(
      'ERR_AUTHORITY_PREPARE',
      `failed to prepare ${authorityTitle(kind)} authority: ${reason}`,
      {
        cause,
      },
    )
  }
}
