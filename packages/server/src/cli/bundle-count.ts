import * as bundleV1 from '@plastron/api/bundle-v1'
import { counted } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'

export const bundleCount = adminCommand({
  name: 'bundle count',
  summary: "Counts bundles, the server's own included",
  flags: {},
  run: async (_values, { client, print }) => {
    const response = await client.call(bundleV1.Bundle.method.countBundles, {})
    print(bundleV1.CountBundlesResponseSchema, response, () => `${counted(response.count, 'bundle', 'bundles')}\n`)
  },
})
