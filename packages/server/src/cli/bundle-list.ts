import * as bundleV1 from '@plastron/api/bundle-v1'
import { BundleSchema } from '@plastron/api/types/bundle'
import { textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseTrustDomainName } from './arguments.ts'
import { parseBundleFormat } from './bundle-format.ts'
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
  run: async (values, { client, json, print }) => {
    if (values.id !== '') {
      const trustDomain = parseTrustDomainName(values.id, 'id')
      const bundle = await client.call(bundleV1.Bundle.method.getFederatedBundle, { trustDomain })
      const text = json ? '' : await bundleText(bundle, parseBundleFormat(values.format))
      print(BundleSchema, bundle, () => text)
      return
    }
    const response = await client.call(bundleV1.Bundle.method.listFederatedBundles, {})
    let texts: string[] = []
    if (!json) {
      const format = parseBundleFormat(values.format)
      texts = await Promise.all(response.bundles.map(bundle => bundleUnderHeader(bundle, format)))
    }
    print(bundleV1.ListFederatedBundlesResponseSchema, response, () => texts.join('\n'))
  },
})
