import { join } from 'node:path'
import * as workload from '@plastron/api/workload'
import { pemEncode } from '@plastron/pki'
import {
  boolFlag,
  CliError,
  type Command,
  defineCommand,
  messageJson,
  outputFlag,
  RpcError,
  textFlag,
  writeFileDurably,
} from '@plastron/runtime/cli'
import { readSvidReport, type SvidReport, svidReportText } from './svid-report.ts'
import { connectWorkloadApi, workloadFlags } from './workload-command.ts'

/** `api fetch x509`, which `api fetch` means too. */
export const apiFetchX509: Command = defineCommand({
  name: 'api fetch x509',
  usageName: 'fetch x509',
  summary: 'Fetches X509 SVIDs from the Workload API',
  errorPrefix: '',
  flags: {
    ...workloadFlags,
    output: outputFlag(),
    silent: boolFlag('Suppress stdout'),
    write: textFlag('Write SVID data to the specified path (optional; only available for pretty output format)'),
  },
  run: async (values, streams) => {
    const json = values.output === 'json'
    if (json && values.write !== '') throw new CliError('-write is only available for the pretty output format')
    const started = streams.now().getTime()
    await using client = connectWorkloadApi(values, streams)
    const response = await firstReply(
      client.stream(workload.SpiffeWorkloadAPI.method.fetchX509SVID, {}),
      values.timeout,
      streams.signal,
    )
    const now = streams.now()
    const report = await readSvidReport(response, now)
    if (!values.silent) {
      streams.out(
        json
          ? `${messageJson(workload.X509SVIDResponseSchema, response)}\n`
          : svidReportText(report, now.getTime() - started),
      )
    }
    if (values.write !== '') await writeReport(report, values.write, text => !values.silent && streams.out(text))
    return 0
  },
})

/** The first message of a stream, or DeadlineExceeded. */
async function firstReply<T>(
  stream: AsyncGenerator<T, void, undefined>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => resolve('late'), timeoutMs > 0 ? timeoutMs : 2_147_483_647)
  const late = () => resolve('late')
  signal.addEventListener('abort', late, { once: true })
  try {
    const first = stream.next()
    // When the deadline wins, the stream is closed by the client's disposal and this rejection has nobody to read it.
    first.catch(() => undefined)
    const result = await Promise.race([first, promise])
    if (result === 'late') {
      throw signal.aborted ? new RpcError(1, 'context canceled') : new RpcError(4, 'context deadline exceeded')
    }
    if (result.done) throw new RpcError(13, 'the Workload API ended the stream without an answer')
    return result.value
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', late)
  }
}

async function writeReport(report: SvidReport, folder: string, say: (text: string) => void): Promise<void> {
  for (const [index, { svid, bundle }] of report.svids.entries()) {
    const write = async (what: string, name: string, text: string, mode: 0o600 | 0o644) => {
      const path = join(folder, name)
      say(`Writing ${what} to file ${path}.\n`)
      await writeFileDurably(path, text, mode)
    }
    await write(
      `SVID #${index}`,
      `svid.${index}.pem`,
      pemEncode('CERTIFICATE', ...svid.certificates.map(({ der }) => der)),
      0o644,
    )
    await write(`key #${index}`, `svid.${index}.key`, svid.privateKey.toPem(), 0o600)
    await write(
      `bundle #${index}`,
      `bundle.${index}.pem`,
      pemEncode('CERTIFICATE', ...bundle.x509Authorities.map(({ der }) => der)),
      0o644,
    )
    for (const [position, foreign] of report.federated.entries()) {
      await write(
        `federated bundle #${position} for trust domain ${foreign.trustDomain.name}`,
        `federated_bundle.${index}.${position}.pem`,
        pemEncode('CERTIFICATE', ...foreign.x509Authorities.map(({ der }) => der)),
        0o644,
      )
    }
  }
}
