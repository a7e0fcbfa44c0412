import * as bundleV1 from '@plastron/api/bundle-v1'
import { BundleSchema } from '@plastron/api/types/bundle'
import { textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseBundleFormat } from './bundle-format.ts'
import { bundleText } from './bundle-text.ts'

export const bundleShow = adminCommand({
  name: 'bundle show',
  summary: 'Prints server CA bundle to stdout',
  flags: {
    format: textFlag(
      'The format to show the bundle (only pretty output format supports this flag). Either "pem" or "spiffe".',
      'pem',
    ),
  },
  run: async (values, { client, json, print }) => {
    const bundle = await client.call(bundleV1.Bundle.method.getBundle, {})
    const text = json ? '' : await bundleText(bundle, parseBundleFormat(values.format))
    print(BundleSchema, bundle, () => text)
  },
})
