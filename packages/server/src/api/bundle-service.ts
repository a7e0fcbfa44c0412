import type { bundleV1, types } from '@plastron/api'
import { type Call, EncodedMessage, GrpcError, type Handlers } from '@plastron/runtime'
import { TrustDomain } from '@plastron/spiffe'
import {
  type BundleDeleteMode,
  type BundleRecord,
  type Datastore,
  DatastoreError,
  type KeyAuthorityRecord,
} from '../datastore/index.ts'
import { bundleFieldSet, encodedBundle, ProtoWriter } from '../encoding/index.ts'
import type { Registry } from '../registration/index.ts'
import { audit, auditItem } from './audit.ts'
import {
  authorityFields,
  bundleAuditFields,
  bundleMessage,
  bundleRecord,
  keyAuthorities,
  keyMessage,
  x509Authorities,
} from './bundle-messages.ts'
import { wanted } from './masks.ts'
import { MAX_PAGE_SIZE } from './paging.ts'
import { failed, type ItemStatus, invalid, itemFailed, itemOk } from './status.ts'

/** What the Bundle service works with. */
export interface BundleServiceOptions {
  readonly trustDomain: TrustDomain
  readonly datastore: Datastore
  readonly registry: Registry
  /** Passes a downstream server's JWT authority on to the upstream authority; absent: it is added to our own bundle. */
  readonly publishJwtAuthority?: ((key: KeyAuthorityRecord) => Promise<readonly KeyAuthorityRecord[]>) | undefined
}

const modes: Readonly<Record<number, BundleDeleteMode>> = { 0: 'restrict', 1: 'delete', 2: 'dissociate' }

interface BundleResult {
  readonly status: ItemStatus
  readonly bundle?: types.Bundle
}

/** `spire.api.server.bundle.v1.Bundle`: our own bundle and those of foreign trust domains. */
export function bundleHandlers(options: BundleServiceOptions): Handlers<typeof bundleV1.Bundle> {
  const { datastore, registry } = options
  const own = options.trustDomain

  const foreign = (text: string, doing: string): string => {
    let name: TrustDomain
    try {
      name = TrustDomain.parse(text)
    } catch (cause) {
      throw invalid('trust domain argument is not valid', cause)
    }
    if (name.equals(own)) throw invalid(`${doing} for the server's own trust domain is not allowed`)
    return name.name
  }

  /** One result per bundle of a request, in its order; one that fails does not keep others from being stored. */
  const each = async (
    call: Call,
    messages: readonly types.Bundle[],
    masks: { readonly input?: types.BundleMask | undefined; readonly output?: types.BundleMask | undefined },
    store: (message: types.Bundle) => Promise<BundleRecord>,
    what: string,
  ): Promise<{ results: BundleResult[] }> => {
    const results: BundleResult[] = []
    for (const message of messages) {
      let result: BundleResult
      try {
        result = { status: itemOk, bundle: bundleMessage(await store(message), masks.output) }
      } catch (error) {
        result = { status: itemFailed(call, failed(what, error), { trust_domain_id: message.trustDomain }) }
      }
      auditItem(call, result.status, () => bundleAuditFields(message, masks.input))
      results.push(result)
    }
    return { results }
  }

  return {
    async countBundles() {
      return { count: registry.bundles().length }
    },

    async getBundle(request, call) {
      audit(call, () => ({ trust_domain_id: own.name }))
      const bundle = registry.bundle(own.name)
      if (bundle === undefined) throw new GrpcError('NOT_FOUND', 'bundle not found')
      return new EncodedMessage(encodedBundle(bundle, bundleFieldSet(request.outputMask)))
    },

    async appendBundle(request, call) {
      audit(call, () => authorityFields(request))
      const added = {
        x509Authorities: x509Authorities(request.x509Authorities),
        jwtAuthorities: keyAuthorities(request.jwtAuthorities, 'JWT'),
        witAuthorities: keyAuthorities(request.witAuthorities, 'WIT'),
      }
      if (Object.values(added).every(list => list.length === 0)) throw invalid('no authorities to append')
      try {
        return bundleMessage(await datastore.bundles.append(own.name, added), request.outputMask)
      } catch (error) {
        throw failed('failed to append bundle', error)
      }
    },

    async publishJWTAuthority(request, call) {
      const { jwtAuthority } = request
      audit(call, () => authorityFields({ jwtAuthorities: jwtAuthority === undefined ? [] : [jwtAuthority] }))
      if (jwtAuthority === undefined) throw invalid('missing JWT authority')
      const [key] = keyAuthorities([jwtAuthority], 'JWT')
      try {
        const keys =
          options.publishJwtAuthority === undefined
            ? (await datastore.bundles.append(own.name, { jwtAuthorities: [key!] })).jwtAuthorities
            : await options.publishJwtAuthority(key!)
        return { jwtAuthorities: keys.map(keyMessage) }
      } catch (error) {
        throw failed('failed to publish JWT key', error)
      }
    },

    async publishWITAuthority(request) {
      if (request.witAuthority === undefined) throw invalid('missing WIT authority')
      const witAuthorities = keyAuthorities([request.witAuthority], 'WIT')
      try {
        const bundle = await datastore.bundles.append(own.name, { witAuthorities })
        return { witAuthorities: bundle.witAuthorities.map(keyMessage) }
      } catch (error) {
        throw failed('failed to publish WIT key', error)
      }
    },

    async listFederatedBundles(request) {
      const { pageSize, pageToken } = request
      if (pageSize < 0) throw invalid('page size must not be negative')
      const bundles = registry
        .bundles()
        .filter(bundle => bundle.trustDomain !== own.name && (pageSize === 0 || bundle.trustDomain > pageToken))
      const page = pageSize === 0 ? bundles : bundles.slice(0, Math.min(pageSize, MAX_PAGE_SIZE))
      const fields = bundleFieldSet(request.outputMask)
      const response = new ProtoWriter(1024)
      for (const bundle of page) response.bytes(1, encodedBundle(bundle, fields))
      response.text(2, pageSize === 0 ? '' : (page.at(-1)?.trustDomain ?? ''))
      return new EncodedMessage(response.finish())
    },

    async getFederatedBundle(request, call) {
      audit(call, () => ({ trust_domain_id: request.trustDomain }))
      const bundle = registry.bundle(foreign(request.trustDomain, 'getting a federated bundle'))
      if (bundle === undefined) throw new GrpcError('NOT_FOUND', 'bundle not found')
      return new EncodedMessage(encodedBundle(bundle, bundleFieldSet(request.outputMask)))
    },

    batchCreateFederatedBundle: (request, call) =>
      each(
        call,
        request.bundle,
        { output: request.outputMask },
        async message => {
          const name = foreign(message.trustDomain, 'creating a federated bundle')
          return datastore.bundles.create(bundleRecord(name, message)).catch((error: unknown) => {
            throw error instanceof DatastoreError && error.code === 'ERR_DATASTORE_ALREADY_EXISTS'
              ? new GrpcError('ALREADY_EXISTS', 'bundle already exists')
              : error
          })
        },
        'unable to create bundle',
      ),

    batchUpdateFederatedBundle: (request, call) =>
      each(
        call,
        request.bundle,
        { input: request.inputMask, output: request.outputMask },
        async message => {
          const name = foreign(message.trustDomain, 'updating a federated bundle')
          const want = wanted(request.inputMask)
          const given = bundleRecord(name, message)
          return datastore.bundles.update(name, {
            ...(want('refreshHint') && { refreshHintSeconds: given.refreshHintSeconds }),
            ...(want('sequenceNumber') && { sequenceNumber: given.sequenceNumber }),
            ...(want('x509Authorities') && { x509Authorities: given.x509Authorities }),
            ...(want('jwtAuthorities') && { jwtAuthorities: given.jwtAuthorities }),
            ...(want('witAuthorities') && { witAuthorities: given.witAuthorities }),
          })
        },
        'failed to update bundle',
      ),

    batchSetFederatedBundle: (request, call) =>
      each(
        call,
        request.bundle,
        { output: request.outputMask },
        async message =>
          datastore.bundles.set(bundleRecord(foreign(message.trustDomain, 'setting a federated bundle'), message)),
        'failed to set bundle',
      ),

    async batchDeleteFederatedBundle(request, call) {
      const mode = modes[request.mode]
      if (mode === undefined) throw invalid(`failed to parse deletion mode: unhandled delete mode ${request.mode}`)
      const results: { trustDomain: string; status: ItemStatus }[] = []
      for (const trustDomain of request.trustDomains) {
        let status: ItemStatus = itemOk
        try {
          await datastore.bundles.delete(foreign(trustDomain, 'removing the bundle'), mode)
        } catch (error) {
          status = itemFailed(call, failed('failed to delete federated bundle', error), {
            trust_domain_id: trustDomain,
            mode,
          })
        }
        auditItem(call, status, () => ({ trust_domain_id: trustDomain, mode }))
        results.push({ trustDomain, status })
      }
      return { results }
    },
  }
}
