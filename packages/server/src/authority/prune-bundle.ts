import { Certificate, PkiError } from '@plastron/pki'
import type { Clock, Logger } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'
import type { Datastore } from '../datastore/index.ts'

const keptMs = 86_400_000

/**
 * Removes from the bundle what ended more than a day ago (SRV-ISS-059), but never its last X.509 authority. What cannot be read
 * stays: it is not known when it ends.
 */
export async function pruneBundle(options: {
  readonly trustDomain: TrustDomain
  readonly datastore: Pick<Datastore, 'bundles'>
  readonly clock: Clock
  readonly log: Logger
}): Promise<void> {
  const { datastore, trustDomain, clock, log } = options
  const before = clock.now().getTime() - keptMs
  const bundle = await datastore.bundles.get(trustDomain.name)
  if (bundle === undefined) return
  const ended = (expiresAt: number) => expiresAt !== 0 && expiresAt * 1000 < before
  const x509 = bundle.x509Authorities.filter(({ der }) => endOf(der) < before).map(({ der }) => der)
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

function endOf(der: Uint8Array): number {
  try {
    return Certificate.parse(der).notAfter.getTime()
  } catch (error) {
    if (!(error instanceof PkiError)) throw error
    return Number.POSITIVE_INFINITY
  }
}
