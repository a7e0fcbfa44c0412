import { boolFlag, type Command, defineCommand, textFlag } from '@plastron/runtime/cli'
import { TrustDomain } from '@plastron/spiffe'
import { openStateFolder } from './state-folder.ts'
import { runTrustDomain } from './trust-domain.ts'

export const dev: Command = defineCommand({
  name: 'dev',
  usageName: 'plastron dev',
  summary:
    'Runs a working trust domain on this machine: starts a server and an agent, registers you as a workload, fetches your SVIDs and keeps running until Ctrl-C.',
  flags: {
    dir: textFlag('Folder that holds the state; default: plastron/dev in XDG_STATE_HOME or ~/.local/state'),
    ephemeral: boolFlag('Use a new folder and remove it at the end'),
    trustDomain: textFlag('Name of the trust domain', 'dev.test'),
  },
  run: async (values, streams) => {
    if (process.platform !== 'linux') {
      streams.err('Error: server and agent need Linux; on this system the library and the client commands work.\n')
      return 1
    }
    const trustDomain = TrustDomain.parse(values.trustDomain).name
    const folder = openStateFolder({
      folder: values.dir === '' ? undefined : values.dir,
      ephemeral: values.ephemeral,
      env: streams.env,
    })
    try {
      const colour = process.stdout.isTTY === true && !streams.env.NO_COLOR
      return await runTrustDomain({ trustDomain, folder, ephemeral: values.ephemeral, streams, colour })
    } finally {
      folder.dispose()
    }
  },
})
