import {
  type CliStreams,
  connectSocketClient,
  durationFlag,
  resolveSocketPath,
  type SocketClient,
  type SocketDefaults,
  type SocketFlagValues,
  socketFlags,
} from '@plastron/runtime/cli'

const defaults: SocketDefaults = {
  defaultPath: '/tmp/spire-agent/public/api.sock',
  usage: 'Path to the SPIRE Agent API Unix domain socket',
  templateVariable: 'SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE',
  pathVariable: 'SPIRE_AGENT_PUBLIC_SOCKET',
}

/** The flags of every command that asks the Workload API. */
export const workloadFlags = {
  ...socketFlags(defaults),
  timeout: durationFlag('Time to wait for a response', '5s'),
}

/** The same without `-timeout`, for commands that wait for as long as the user does. */
export const workloadSocketFlags = socketFlags(defaults)

/** A client of the Workload API that sends the security header of the Workload Endpoint standard. */
export function connectWorkloadApi(
  values: SocketFlagValues & { readonly timeout?: number },
  streams: CliStreams,
): SocketClient {
  return connectSocketClient(resolveSocketPath(values, defaults, streams.env), {
    signal: streams.signal,
    headers: { 'workload.spiffe.io': 'true' },
    ...(values.timeout === undefined || values.timeout <= 0 ? {} : { timeoutMs: values.timeout }),
  })
}
