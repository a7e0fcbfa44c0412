import * as bundleV1 from '@plastron/api/bundle-v1'
import * as types from '@plastron/api/types'
import { textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseBundleFormat, parseTrustDomainName } from './arguments.ts'
import { bundleText, bundleUnderHeader } from './bundle-text.ts'

export const bundleList = adminCommand({
  name: 'bundle list',
  summary: 'Lists federated bundle data',
  flags: {
    id: textFlag('SPIFFE ID of the trust domain'),
    format: textFlag(
      'The format to list federated bundles (only pretty output format supports this flag). Either "pem" or "spiffe".',
      'pem',
    ),
  },
  run: async (values, { client, print }) => {
    if (values.id !== '') {
      const trustDomain = parseTrustDomainName(values.id, 'id')
      const bundle = await client.call(bundleV1.Bundle.method.getFederatedBundle, { trustDomain })
      print(types.BundleSchema, bundle, () => bundleText(bundle, parseBundleFormat(values.format)))
      return
    }
    const response = await client.call(bundleV1.Bundle.method.listFederatedBundles, {})
    print(bundleV1.ListFederatedBundlesResponseSchema, response, () => {
      const format = parseBundleFormat(values.format)
      return response.bundles.map(bundle => bundleUnderHeader(bundle, format)).join('\n')
    })
  },
})
