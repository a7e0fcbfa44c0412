/**
 * Writes docs/server-commands.md and docs/agent-commands.md from the commands themselves: `node scripts/command-pages.ts`. A test finds out whether
 * the committed pages are current.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentCommands } from '@plastron/agent/cli'
import type { CommandEntry } from '@plastron/runtime/cli'
import { serverCommands } from '@plastron/server/cli'

const docs = join(import.meta.dirname, '../docs')

const introductions = {
  server: `# Commands of \`plastron-server\`

The commands, flags, output and exit codes are those of \`spire-server\`; deliberate differences are in [divergences.md](divergences.md). Flags take one dash or two, and
their value after a space or \`=\`. \`-h\` explains a command. Commands of the admin API talk to the server's private socket: \`-socketPath\`, or \`-instance\`
with \`SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE\`, or \`SPIRE_SERVER_PRIVATE_SOCKET\`. With \`-output json\` they print one line for scripts. Exit codes: 0 done, 1 failed, 127 no such command.

\`\`\`sh
npx plastron-server entry create -socketPath /tmp/spire-server/private/api.sock \\
  -parentID spiffe://example.org/node -spiffeID spiffe://example.org/my-service -selector unix:uid:1000
npx plastron-server entry show -socketPath /tmp/spire-server/private/api.sock -output json
\`\`\`
`,
  agent: `# Commands of \`plastron-agent\`

The commands, flags, output and exit codes are those of \`spire-agent\`; deliberate differences are in [divergences.md](divergences.md). \`api\` commands ask the Workload API as
any workload would: \`-socketPath\`, or \`-instance\` with \`SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE\`, or \`SPIRE_AGENT_PUBLIC_SOCKET\`. \`debug\` and \`logger\` talk to
the admin socket. Exit codes: 0 done, 1 failed, 127 no such command.

\`\`\`sh
npx plastron-agent api fetch x509 -socketPath /tmp/spire-agent/public/api.sock -write .
npx plastron-agent api fetch jwt -audience my-service -socketPath /tmp/spire-agent/public/api.sock
\`\`\`
`,
} as const

/** The page of one program, made of its commands. */
export async function commandPage(program: 'server' | 'agent'): Promise<string> {
  const commands = program === 'server' ? serverCommands : agentCommands
  const sections = await Promise.all(commands.map(section))
  return `${introductions[program]}\n${sections.join('\n')}`
}

async function section(entry: CommandEntry): Promise<string> {
  const { flags, summary } = await entry.load()
  const rows = Object.entries(flags)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { kind, usage, defaultText }]) => {
      const value = kind === 'bool' ? '' : ` ${kind}`
      return `| \`-${name}${value}\` | ${defaultText === undefined ? '' : `\`${defaultText}\``} | ${usage.replaceAll('|', '\\|')} |`
    })
  const table =
    rows.length === 0 ? '' : `\n| Flag | Default | What it does |\n| --- | --- | --- |\n${rows.join('\n')}\n`
  return `## ${entry.name}\n\n${summary.replace(/\.$/, '')}.\n${table}`
}

if (import.meta.main) {
  for (const program of ['server', 'agent'] as const) {
    writeFileSync(join(docs, `${program}-commands.md`), await commandPage(program))
  }
}
