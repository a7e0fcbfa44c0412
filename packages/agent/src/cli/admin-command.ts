import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import {
  type Command,
  connectSocketClient,
  defineCommand,
  type FlagDefinitions,
  type FlagValues,
  messageJson,
  outputFlag,
  type SocketClient,
  textFlag,
} from '@plastron/runtime/cli'

interface AdminContext {
  readonly client: SocketClient
  readonly print: <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>, pretty: () => string) => void
}

export interface AdminCommandDefinition<Flags extends FlagDefinitions> {
  readonly name: string
  readonly summary: string
  readonly flags: Flags
  run(values: FlagValues<Flags>, context: AdminContext): Promise<void>
}

/** A command of the agent's admin socket: adds `-socketPath` and `-output`, connects, and closes the connection. */
export function adminCommand<const Flags extends FlagDefinitions>(definition: AdminCommandDefinition<Flags>): Command {
  return defineCommand({
    name: definition.name,
    summary: definition.summary,
    flags: {
      ...definition.flags,
      socketPath: textFlag('Path to the SPIRE Agent admin API socket', '/tmp/spire-agent/private/admin.sock'),
      output: outputFlag(),
    },
    run: async (values, streams) => {
      const { socketPath, output } = values as unknown as { socketPath: string; output: string | undefined }
      await using client = connectSocketClient(socketPath, { signal: streams.signal })
      await definition.run(values as unknown as FlagValues<Flags>, {
        client,
        print: (schema, message, pretty) =>
          streams.out(output === 'json' ? `${messageJson(schema, message)}\n` : pretty()),
      })
      return 0
    },
  })
}
