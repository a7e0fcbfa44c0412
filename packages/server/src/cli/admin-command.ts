import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import {
  type CliStreams,
  type Command,
  connectSocketClient,
  defineCommand,
  type FlagDefinitions,
  type FlagValues,
  messageJson,
  outputFlag,
  resolveSocketPath,
  type SocketClient,
  type SocketDefaults,
  type SocketFlagValues,
  socketFlags,
} from '@plastron/runtime/cli'

const defaults: SocketDefaults = {
  defaultPath: '/tmp/spire-server/private/api.sock',
  usage: 'Path to the SPIRE Server API socket',
  templateVariable: 'SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE',
  pathVariable: 'SPIRE_SERVER_PRIVATE_SOCKET',
}

/** What a command that talks to the server's private socket is given. */
export interface AdminContext {
  readonly client: SocketClient
  readonly streams: CliStreams
  readonly json: boolean
  /** Prints the message as JSON, or what `pretty` makes of it. */
  readonly print: <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>, pretty: () => string) => void
}

export interface AdminCommandDefinition<Flags extends FlagDefinitions> {
  readonly name: string
  readonly summary: string
  readonly usageName?: string
  readonly flags: Flags
  /** Resolves with the exit code, or with nothing for 0. */
  run(values: FlagValues<Flags>, context: AdminContext): Promise<number | undefined>
}

/** A command of the admin API: adds `-socketPath`, `-instance` and `-output`, connects, and closes the connection. */
export function adminCommand<const Flags extends FlagDefinitions>(definition: AdminCommandDefinition<Flags>): Command {
  const { name, summary, usageName } = definition
  return defineCommand({
    name,
    summary,
    usageName,
    flags: { ...definition.flags, ...socketFlags(defaults), output: outputFlag() },
    run: async (values, streams) => {
      await using client = connectSocketClient(
        resolveSocketPath(values as unknown as SocketFlagValues, defaults, streams.env),
        {
          signal: streams.signal,
        },
      )
      const json = (values as { output?: unknown }).output === 'json'
      const context: AdminContext = {
        client,
        streams,
        json,
        print: (schema, message, pretty) => streams.out(json ? `${messageJson(schema, message)}\n` : pretty()),
      }
      return (await definition.run(values as unknown as FlagValues<Flags>, context)) ?? 0
    },
  })
}

/** The same without `-output`, for `healthcheck`. */
export const adminSocket = { flags: () => socketFlags(defaults), resolve: resolveAdminSocket }

function resolveAdminSocket(values: { socketPath: string; instance: string }, streams: CliStreams): string {
  return resolveSocketPath(values, defaults, streams.env)
}
