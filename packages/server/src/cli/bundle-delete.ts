import * as bundleV1 from '@plastron/api/bundle-v1'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseTrustDomainName } from './arguments.ts'

const Mode = bundleV1.BatchDeleteFederatedBundleRequest_Mode

const modes = new Map<string, bundleV1.BatchDeleteFederatedBundleRequest_Mode>([
  ['restrict', Mode.RESTRICT],
  ['delete', Mode.DELETE],
  ['dissociate', Mode.DISSOCIATE],
])

export const bundleDelete = adminCommand({
  name: 'bundle delete',
  summary: 'Deletes federated bundle data',
  flags: {
    id: textFlag('SPIFFE ID of the trust domain'),
    mode: textFlag(
      'Deletion mode: restrict refuses while entries federate with the trust domain, delete deletes those entries too, dissociate takes the trust domain off them',
      'restrict',
    ),
  },
  run: async (values, { client, json, print }) => {
    if (values.id === '') throw new CliError('id is required')
    const mode = modes.get(values.mode)
    if (mode === undefined)
      throw new CliError(`unsupported mode ${JSON.stringify(values.mode)}: use restrict, delete or dissociate`)
    const trustDomain = parseTrustDomainName(values.id, 'id')
    const response = await client.call(bundleV1.Bundle.method.batchDeleteFederatedBundle, {
      trustDomains: [trustDomain],
      mode,
    })
    const status = response.results[0]?.status
    if (!json && status?.code !== 0) {
      throw new CliError(
        `failed to delete federated bundle ${JSON.stringify(`spiffe://${trustDomain}`)}: ${status?.message ?? 'the server gave no result'}`,
      )
    }
    print(bundleV1.BatchDeleteFederatedBundleResponseSchema, response, () => 'bundle deleted.\n')
  },
})
