import { join } from 'node:path'
import * as workload from '@plastron/api/workload'
import {
  type Command,
  defineCommand,
  messageJson,
  outputFlag,
  RpcError,
  textFlag,
  writeFileDurably,
} from '@plastron/runtime/cli'
import { connectWorkloadApi, workloadFlags } from './workload-command.ts'

export const apiFetchWit: Command = defineCommand({
  name: 'api fetch wit',
  usageName: 'fetch wit',
  summary: 'Fetches WIT SVIDs from the Workload API',
  errorPrefix: '',
  flags: {
    ...workloadFlags,
    output: outputFlag(),
    spiffeID: textFlag('SPIFFE ID subject (optional)'),
    write: textFlag('Write tokens and keys to the specified path (optional)'),
  },
  run: async (values, streams) => {
    await using client = connectWorkloadApi(values, streams)
    const stream = client.stream(workload.SpiffeWorkloadAPI.method.fetchWITSVID, { spiffeId: values.spiffeID })
    const first = await stream.next()
    if (first.done) throw new RpcError(13, 'the Workload API ended the stream without an answer')
    const response = first.value
    if (values.write !== '') {
      for (const [index, { witSvid, witSvidKey }] of response.svids.entries()) {
        for (const [name, text] of [
          [`wit.${index}.jwt`, witSvid],
          [`wit.${index}.key`, witSvidKey],
        ] as const) {
          const path = join(values.write, name)
          await writeFileDurably(path, text, 0o600)
          streams.out(`Written to ${path}.\n`)
        }
      }
      return 0
    }
    if (values.output === 'json') streams.out(`${messageJson(workload.WITSVIDResponseSchema, response)}\n`)
    else {
      for (const { spiffeId, witSvid, hint } of response.svids) {
        streams.out(`token(${spiffeId}):\n\t${witSvid}\n`)
        if (hint !== '') streams.out(`hint(${spiffeId}):\n\t${hint}\n`)
      }
    }
    return 0
  },
})
