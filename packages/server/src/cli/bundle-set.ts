import { readFile } from 'node:fs/promises'
import * as bundleV1 from '@plastron/api/bundle-v1'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseTrustDomainName } from './arguments.ts'
import { parseBundleText } from './bundle-document.ts'
import { parseBundleFormat } from './bundle-format.ts'

export const bundleSet = adminCommand({
  name: 'bundle set',
  summary: 'Creates or updates federated bundle data',
  flags: {
    id: textFlag('SPIFFE ID of the trust domain'),
    path: textFlag('Path to the bundle data; without it the bundle is read from stdin'),
    format: textFlag('The format of the bundle data. Either "pem" or "spiffe".', 'pem'),
  },
  run: async (values, { client, streams, json, print }) => {
    if (values.id === '') throw new CliError('id flag is required')
    const name = parseTrustDomainName(values.id, 'id')
    const format = parseBundleFormat(values.format)
    const text = values.path === '' ? await streams.readStdin() : await readFile(values.path, 'utf8')
    const bundle = parseBundleText(name, text, format)
    const response = await client.call(bundleV1.Bundle.method.batchSetFederatedBundle, { bundle: [bundle] })
    const status = response.results[0]?.status
    if (!json && status?.code !== 0)
      throw new CliError(`failed to set federated bundle: ${status?.message ?? 'the server gave no result'}`)
    print(bundleV1.BatchSetFederatedBundleResponseSchema, response, () => 'bundle set.\n')
  },
})
