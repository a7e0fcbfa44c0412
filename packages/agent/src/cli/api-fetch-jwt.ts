import * as workload from '@plastron/api/workload'
import {
  CliError,
  type Command,
  defineCommand,
  type FlagDefinition,
  messageValue,
  outputFlag,
  RpcError,
  sortedJson,
  textFlag,
} from '@plastron/runtime/cli'
import { connectWorkloadApi, workloadFlags } from './workload-command.ts'

/** `a,b` or repeated. */
function audienceFlag(): FlagDefinition<readonly string[]> {
  return {
    kind: 'value',
    usage: 'comma separated list of audience values',
    initial: [],
    accept: (text, sofar) => [...sofar, ...text.split(',')],
  }
}

export const apiFetchJwt: Command = defineCommand({
  name: 'api fetch jwt',
  usageName: 'fetch jwt',
  summary: 'Fetches a JWT SVID from the Workload API',
  errorPrefix: '',
  flags: {
    ...workloadFlags,
    audience: audienceFlag(),
    format: { ...outputFlag(), usage: 'deprecated; use -output' },
    output: outputFlag(),
    spiffeID: textFlag('SPIFFE ID subject (optional)'),
  },
  run: async (values, streams) => {
    if (values.audience.length === 0) throw new CliError('audience must be specified')
    await using client = connectWorkloadApi(values, streams)
    const { SpiffeWorkloadAPI } = workload
    const tokens = await client.call(SpiffeWorkloadAPI.method.fetchJWTSVID, {
      audience: [...values.audience],
      spiffeId: values.spiffeID,
    })
    const bundles = await firstBundles(client.stream(SpiffeWorkloadAPI.method.fetchJWTBundles, {}))
    if ((values.output ?? values.format) === 'json') {
      const both = [
        messageValue(workload.JWTSVIDResponseSchema, tokens),
        messageValue(workload.JWTBundlesResponseSchema, bundles),
      ]
      streams.out(`${sortedJson(both)}\n`)
      return 0
    }
    for (const { spiffeId, svid, hint } of tokens.svids) {
      streams.out(`token(${spiffeId}):\n\t${svid}\n`)
      if (hint !== '') streams.out(`hint(${spiffeId}):\n\t${hint}\n`)
    }
    for (const [trustDomain, document] of Object.entries(bundles.bundles).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      streams.out(`bundle(${trustDomain}):\n\t${Buffer.from(document).toString('utf8')}\n`)
    }
    return 0
  },
})

async function firstBundles(
  stream: AsyncGenerator<workload.JWTBundlesResponse, void, undefined>,
): Promise<workload.JWTBundlesResponse> {
  for await (const bundles of stream) return bundles
  throw new RpcError(13, 'the Workload API ended the stream without an answer')
}
