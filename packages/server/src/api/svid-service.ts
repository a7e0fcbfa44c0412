import type { svidV1 } from '@plastron/api'
import { CertificateRequest, PkiError, PublicKey } from '@plastron/pki'
import { type Call, GrpcError, type Handlers } from '@plastron/runtime'
import { SpiffeId, type TrustDomain, type X509Bundle } from '@plastron/spiffe'
import { readRequestKey } from '../attestation/attest-agent.ts'
import { AuthorityError } from '../authority/authority-error.ts'
import type { EntryRecord } from '../datastore/index.ts'
import type { Admission } from '../issuance/admission.ts'
import { IssuanceError } from '../issuance/issuance-error.ts'
import { type IssuedToken, type IssuedX509, type Issuer, refuseOverlappingWildcards } from '../issuance/issuer.ts'
import { claimOf } from '../issuance/signing-claim.ts'
import type { Registry } from '../registration/index.ts'
import { audit, auditItem } from './audit.ts'
import { checkStillAgent, checkStillDownstream } from './authorization.ts'
import { callingAgent, downstreamEntry } from './caller.ts'
import { IdReader } from './ids.ts'
import { invalid, itemFailed, itemOk } from './status.ts'
import {
  type SvidResult,
  tokenResponse,
  type WithHint,
  witBatchResponse,
  x509BatchResponse,
  x509Response,
} from './svid-messages.ts'

/** What the SVID service works with. */
export interface SvidServiceOptions {
  readonly trustDomain: TrustDomain
  readonly registry: Registry
  readonly issuer: Issuer
  /** Where documents for agents and downstream servers wait for their turn; those for administrators do not. */
  readonly admission: Admission
  readonly now: () => Date
  ownBundle(): X509Bundle
}

const notAuthorized = 'entry not found or not authorized'

/** `spire.api.server.svid.v1.SVID`: documents minted for administrators, and issued to agents for their entries. */
export function svidHandlers(options: SvidServiceOptions): Handlers<typeof svidV1.SVID> {
  const { registry, issuer, admission, now } = options
  const ids = new IdReader(options.trustDomain)

  /**
   * The entry that the calling agent asks a document of; entries of others do not exist for it. To be called when the document's turn has come: what
   * was so when the call came may be over.
   */
  const entryOf = (call: Call, entryId: string): EntryRecord => {
    if (entryId === '') throw invalid('missing entry ID')
    checkStillAgent(call, registry, now())
    const entry = registry.authorizedEntry(callingAgent(call).id, entryId)
    if (entry === undefined) throw new GrpcError('NOT_FOUND', notAuthorized)
    return entry
  }

  const newX509 = async (call: Call, entryId: string, csr: Uint8Array): Promise<WithHint<IssuedX509>> => {
    if (entryId === '') throw invalid('missing entry ID')
    if (csr.length === 0) throw invalid('missing CSR')
    const entry = entryOf(call, entryId)
    const publicKey = await readRequestKey(csr)
    const issued = await issuer.workloadX509({
      id: SpiffeId.parse(entry.spiffeId),
      publicKey,
      dnsNames: entry.dnsNames,
      ttlSeconds: entry.x509SvidTtlSeconds,
    })
    return { issued, hint: entry.hint }
  }

  const newJwt = async (call: Call, request: svidV1.NewJWTSVIDRequest): Promise<WithHint<IssuedToken>> => {
    const entry = entryOf(call, request.entryId)
    const issued = await issuer.jwt({
      id: SpiffeId.parse(entry.spiffeId),
      audience: request.audience,
      ttlSeconds: entry.jwtSvidTtlSeconds,
      includeJti: entry.attributes?.jwtSvidIncludeJti ?? false,
    })
    return { issued, hint: entry.hint }
  }

  const newWit = async (
    call: Call,
    entryId: string,
    key: Uint8Array,
    signingAlgorithm: string,
  ): Promise<WithHint<IssuedToken>> => {
    const entry = entryOf(call, entryId)
    const issued = await issuer.wit({
      id: SpiffeId.parse(entry.spiffeId),
      publicKey: publicKeyOf(key),
      signingAlgorithm,
      ttlSeconds: entry.x509SvidTtlSeconds,
    })
    return { issued, hint: entry.hint }
  }

  /** One result for each item, in order; all of them are worked on at once. */
  const each = <Item, Svid>(
    call: Call,
    items: readonly Item[],
    issue: (item: Item) => Promise<Svid>,
    entryId: (item: Item) => string,
    what: string,
  ): Promise<SvidResult<Svid>[]> => {
    const claim = claimOf(call)
    return Promise.all(
      items.map(async item => {
        let result: SvidResult<Svid>
        try {
          result = { status: itemOk, svid: await admission.run(claim, () => issue(item)) }
        } catch (error) {
          result = { status: itemFailed(call, issuanceFailed(what, error), { entry_id: entryId(item) }) }
        }
        auditItem(call, result.status, () => ({ entry_id: entryId(item) }))
        return result
      }),
    )
  }

  return {
    async mintX509SVID(request, call) {
      if (request.csr.length === 0) throw invalid('missing CSR')
      let csr: CertificateRequest
      try {
        csr = CertificateRequest.parse(request.csr)
        if (!(await csr.verifySignature())) throw new PkiError('ERR_PKI_REQUEST', 'its signature is not by its key')
      } catch (cause) {
        throw invalid('failed to verify CSR', cause)
      }
      const [uri, ...more] = csr.uris
      if (uri === undefined || more.length > 0)
        throw invalid(`CSR URI SAN is required and must be exactly one, it has ${csr.uris.length}`)
      let id: SpiffeId
      try {
        const parsed = SpiffeId.parse(uri)
        id = ids.workload({
          $typeName: 'spire.api.types.SPIFFEID',
          trustDomain: parsed.trustDomain.name,
          path: parsed.path,
        })
      } catch (cause) {
        throw cause instanceof GrpcError ? cause : invalid('CSR URI SAN is not a valid SPIFFE ID', cause)
      }
      audit(call, () => ({ spiffe_id: id.toString(), dns_name: csr.dnsNames.join(','), ttl: request.ttl }))
      try {
        refuseOverlappingWildcards(csr.dnsNames)
        const issued = await issuer.workloadX509({
          id,
          publicKey: csr.publicKey,
          dnsNames: csr.dnsNames,
          ttlSeconds: request.ttl,
          ...(csr.subject.isEmpty ? {} : { subject: csr.subject }),
        })
        return x509Response(issued)
      } catch (error) {
        throw issuanceFailed('failed to sign X509-SVID', error)
      }
    },

    async mintJWTSVID(request, call) {
      const id = ids.workload(request.id)
      audit(call, () => ({ spiffe_id: id.toString(), audience: request.audience, ttl: request.ttl }))
      try {
        const issued = await issuer.jwt({ id, audience: request.audience, ttlSeconds: request.ttl })
        return tokenResponse(issued)
      } catch (error) {
        throw issuanceFailed('failed to sign JWT-SVID', error)
      }
    },

    async mintWITSVID(request, call) {
      const id = ids.workload(request.id)
      audit(call, () => ({ spiffe_id: id.toString(), ttl: request.ttl }))
      try {
        const issued = await issuer.wit({
          id,
          publicKey: publicKeyOf(request.publicKey),
          signingAlgorithm: request.signingAlgorithm,
          ttlSeconds: request.ttl,
        })
        return tokenResponse(issued)
      } catch (error) {
        throw issuanceFailed('failed to sign WIT-SVID', error)
      }
    },

    async batchNewX509SVID(request, call) {
      if (request.params.length === 0) throw invalid('missing parameters')
      const issue = (item: svidV1.NewX509SVIDParams) => newX509(call, item.entryId, item.csr)
      return x509BatchResponse(
        await each(call, request.params, issue, item => item.entryId, 'failed to sign X509-SVID'),
      )
    },

    async newJWTSVID(request, call) {
      audit(call, () => ({ entry_id: request.entryId, audience: request.audience }))
      if (request.audience.every(name => name === '')) throw invalid('at least one audience is required')
      entryOf(call, request.entryId)
      try {
        const { issued, hint } = await admission.run(claimOf(call), () => newJwt(call, request))
        return tokenResponse(issued, hint)
      } catch (error) {
        throw issuanceFailed('failed to sign JWT-SVID', error)
      }
    },

    async batchNewWITSVID(request, call) {
      if (request.params.length === 0) throw invalid('missing parameters')
      const issue = (item: svidV1.NewWITSVIDParams) => newWit(call, item.entryId, item.publicKey, item.signingAlgorithm)
      return witBatchResponse(await each(call, request.params, issue, item => item.entryId, 'failed to sign WIT-SVID'))
    },

    async newDownstreamX509CA(request, call) {
      const entry = downstreamEntry(call)
      audit(call, () => ({ entry_id: entry.id, ttl: request.preferredTtl }))
      if (request.csr.length === 0) throw invalid('missing CSR')
      try {
        const chain = await admission.run(claimOf(call), async () => {
          checkStillDownstream(call, registry)
          return issuer.downstreamCa(await readRequestKey(request.csr), request.preferredTtl)
        })
        const authorities = options.ownBundle().x509Authorities
        return { caCertChain: chain.map(bytes), x509Authorities: authorities.map(({ der }) => bytes(der)) }
      } catch (error) {
        throw issuanceFailed('failed to sign downstream X.509 CA', error)
      }
    },
  }
}

function publicKeyOf(spki: Uint8Array): PublicKey {
  if (spki.length === 0) throw invalid('missing public key')
  try {
    return PublicKey.fromSpki(spki)
  } catch (cause) {
    throw invalid('malformed public key', cause)
  }
}

function issuanceFailed(what: string, error: unknown): GrpcError {
  if (error instanceof GrpcError) return error
  if (error instanceof IssuanceError && error.code === 'ERR_ISSUANCE_REQUEST') return invalid(what, error)
  if (error instanceof AuthorityError && error.code === 'ERR_AUTHORITY_DISABLED')
    return new GrpcError('UNIMPLEMENTED', error.message, { cause: error })
  const reason = error instanceof IssuanceError ? `${what}: ${error.message}` : what
  return new GrpcError('INTERNAL', reason, { cause: error })
}

function bytes(der: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(der)
}
