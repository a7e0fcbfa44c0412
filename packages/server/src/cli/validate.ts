import type { Command } from '@plastron/runtime/cli'
import { validateCommand } from '@plastron/runtime/config'
import { loadServerConfig } from '../config/load-server-config.ts'
import { serverRunFlags } from '../config/server-flags.ts'

export const validate: Command = validateCommand({ program: 'server', flags: serverRunFlags, load: loadServerConfig })
