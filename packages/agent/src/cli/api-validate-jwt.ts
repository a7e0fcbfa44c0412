import * as workload from '@plastron/api/workload'
import {
  CliError,
  type Command,
  defineCommand,
  messageJson,
  outputFlag,
  RpcError,
  sortedJson,
  textFlag,
} from '@plastron/runtime/cli'
import { connectWorkloadApi, workloadFlags } from './workload-command.ts'

const INVALID_ARGUMENT = 3

export const apiValidateJwt: Command = defineCommand({
  name: 'api validate jwt',
  usageName: 'validate jwt',
  summary: 'Validates a JWT SVID',
  errorPrefix: '',
  flags: {
    ...workloadFlags,
    audience: textFlag('expected audience value'),
    output: outputFlag(),
    svid: textFlag('JWT SVID'),
  },
  run: async (values, streams) => {
    if (values.audience === '') throw new CliError('audience must be specified')
    if (values.svid === '') throw new CliError('svid must be specified')
    await using client = connectWorkloadApi(values, streams)
    try {
      const response = await client.call(workload.SpiffeWorkloadAPI.method.validateJWTSVID, {
        audience: values.audience,
        svid: values.svid,
      })
      if (values.output === 'json') streams.out(`${messageJson(workload.ValidateJWTSVIDResponseSchema, response)}\n`)
      else
        streams.out(
          `SVID is valid.\nSPIFFE ID : ${response.spiffeId}\nClaims    : ${sortedJson(response.claims ?? {})}\n`,
        )
      return 0
    } catch (error) {
      if (!(error instanceof RpcError) || error.status !== INVALID_ARGUMENT) throw error
      throw new CliError(`SVID is not valid: ${error.statusMessage}`, { cause: error })
    }
  },
})
