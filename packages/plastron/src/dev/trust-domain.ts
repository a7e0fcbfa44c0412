import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CliStreams, writeFileDurably } from '@plastron/runtime/cli'
import { verifyX509Svid } from '@plastron/spiffe'
import { WorkloadApiClient } from '@plastron/spiffe/workload'
import { type Account, accountText } from './account.ts'
import { watchAncestors } from './ancestor-watch.ts'
import {
  agentConfiguration,
  agentDataFolder,
  type DevConfiguration,
  joinTokenPath,
  serverConfiguration,
  trustBundlePath,
} from './configuration.ts'
import { Daemon } from './daemon.ts'
import { choosePort } from './free-port.ts'
import { ServerAdmin } from './server-admin.ts'
import type { StateFolder } from './state-folder.ts'

/** Beside the agent's own ID, whatever token it joined with. */
const nodePath = '/dev/node'
const jwtAudience = 'plastron-dev'
const tokenTtlSeconds = 600
const pollMs = 20

export interface TrustDomainOptions {
  readonly trustDomain: string
  readonly folder: StateFolder
  readonly ephemeral: boolean
  readonly streams: CliStreams
  readonly colour: boolean
}

/**
 * Runs a server and an agent as child processes until the signal aborts, a child ends by itself, or the command that
 * started this process has gone. Resolves with the exit code: 0 when it was asked to stop, 1 when something ended by
 * itself. Nothing that it started is running when it resolves.
 */
export async function runTrustDomain(options: TrustDomainOptions): Promise<number> {
  const { folder, streams, trustDomain } = options
  const started = performance.now()
  const stop = new AbortController()
  const signal = AbortSignal.any([streams.signal, stop.signal])
  const endWatch = watchAncestors(() => stop.abort())
  const stopped = new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

  // Disposed in reverse: the agent ends before the server that it talks to.
  await using daemons = new AsyncDisposableStack()
  daemons.defer(endWatch)
  try {
    const portPath = join(folder.path, 'server', 'port')
    const configuration: DevConfiguration = { trustDomain, serverPort: await choosePort(portPath), folder }
    await writeFile(portPath, String(configuration.serverPort), { mode: 0o600 })

    const server = daemons.use(await startDaemon('server', folder, serverConfiguration(configuration)))
    await using admin = new ServerAdmin(trustDomain, folder.serverSocketPath, signal)
    await untilReady(server, signal, () => admin.isHealthy())

    // An agent that has attested before keeps its identity. It is given a token all the same: should the server no longer
    // know it, it joins again without anybody deleting a file.
    const resumed = existsSync(agentDataFolder(folder))
    await writeFileDurably(trustBundlePath(folder), await admin.trustBundlePem(), 0o600)
    await writeFileDurably(joinTokenPath(folder), await admin.createJoinToken(nodePath, tokenTtlSeconds), 0o600)
    const uid = process.getuid?.() ?? 0
    const userPath = `/user/${uid}`
    await admin.registerWorkload(userPath, nodePath, { type: 'unix', value: `uid:${uid}` })

    const agent = daemons.use(await startDaemon('agent', folder, agentConfiguration(configuration)))
    const documents = await agent.whileRunning(fetchDocuments(folder, signal, () => existsSync(folder.agentSocketPath)))
    if (documents === undefined) return 0

    streams.out(
      accountText(
        {
          ...documents,
          trustDomain,
          uid,
          nodeId: `spiffe://${trustDomain}${nodePath}`,
          jwtAudience,
          agentSocketPath: folder.agentSocketPath,
          agentAdminSocketPath: folder.agentAdminSocketPath,
          serverSocketPath: folder.serverSocketPath,
          folder: folder.path,
          ephemeral: options.ephemeral,
          resumed,
          elapsedMs: performance.now() - started,
          now: streams.now(),
        },
        options.colour,
      ),
    )
    const endedByItself = await Promise.race([stopped.then(() => undefined), server.ended, agent.ended])
    if (endedByItself === undefined) return 0
    streams.err(`${endedByItself}; stopping the rest.\n`)
    return 1
  } catch (error) {
    if (signal.aborted) return 0
    throw error
  }
}

async function startDaemon(name: 'server' | 'agent', folder: StateFolder, configuration: string): Promise<Daemon> {
  const home = join(folder.path, name)
  const configurationPath = join(home, `${name}.conf`)
  await writeFileDurably(configurationPath, configuration, 0o600)
  await rm(join(home, `${name}.log`), { force: true })
  // The launchers lie beside this program, in a checkout as well as in a published package.
  const up = import.meta.url.endsWith('.ts') ? '../../bin' : '../bin'
  const program = fileURLToPath(new URL(`${up}/plastron-${name}.js`, import.meta.url))
  return Daemon.start(
    name,
    program,
    ['run', '-config', configurationPath, '-stopWhenStdinCloses'],
    join(home, `${name}.log`),
  )
}

/** Asks until the answer is yes, the daemon ends, or the signal aborts. */
async function untilReady(daemon: Daemon, signal: AbortSignal, ready: () => Promise<boolean>): Promise<void> {
  const asked = async () => {
    while (!signal.aborted && !(await ready())) await new Promise(resolve => setTimeout(resolve, pollMs))
  }
  await daemon.whileRunning(asked())
  signal.throwIfAborted()
}

type Documents = Pick<Account, 'spiffeId' | 'x509ExpiresAt' | 'jwtExpiresAt'>

/** Fetches and verifies as any workload would; nothing when the signal aborts first. */
async function fetchDocuments(
  folder: StateFolder,
  signal: AbortSignal,
  isListening: () => boolean,
): Promise<Documents | undefined> {
  await using client = new WorkloadApiClient({ address: `unix://${encodeURI(folder.agentSocketPath)}` })
  for (;;) {
    if (signal.aborted) return undefined
    try {
      if (isListening()) {
        const { svids, bundles } = await client.fetchX509Context({ signal })
        const [svid] = svids
        await verifyX509Svid(svid.certificates, bundles)
        const token = await client.fetchJwtSvid({ audience: jwtAudience, signal })
        // The agent validates it against the bundle, as it would for a service that was sent this token.
        const validated = await client.validateJwtSvid(token.marshal(), jwtAudience, { signal })
        return { spiffeId: svid.id.toString(), x509ExpiresAt: svid.expiresAt, jwtExpiresAt: validated.expiresAt }
      }
    } catch (error) {
      // Not up yet, not attested yet, or not synchronised yet; whoever waits sees the agent end if it cannot.
      if (signal.aborted) return undefined
      if (!isTransient(error)) throw error
    }
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_WORKLOAD')
}
