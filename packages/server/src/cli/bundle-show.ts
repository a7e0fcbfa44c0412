import * as bundleV1 from '@plastron/api/bundle-v1'
import * as types from '@plastron/api/types'
import { textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseBundleFormat } from './arguments.ts'
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
  run: async (values, { client, print }) => {
    const bundle = await client.call(bundleV1.Bundle.method.getBundle, {})
    print(types.BundleSchema, bundle, () => bundleText(bundle, parseBundleFormat(values.format)))
  },
})
