import type { Command } from '@plastron/runtime/cli'
import { validateCommand } from '@plastron/runtime/config'
import { agentRunFlags } from '../config/agent-flags.ts'
import { loadAgentConfig } from '../config/load-agent-config.ts'

export const validate: Command = validateCommand({ program: 'agent', flags: agentRunFlags, load: loadAgentConfig })
