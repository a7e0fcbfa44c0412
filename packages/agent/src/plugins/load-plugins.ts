import type { Clock, Logger } from '@plastron/runtime'
import type { AgentConfig } from '../config/agent-config.ts'
import { DiskKeyManager } from './key-manager/disk.ts'
import type { KeyManager } from './key-manager/key-manager.ts'
import { MemoryKeyManager } from './key-manager/memory.ts'
import { JoinTokenAttestor } from './node-attestor/join-token.ts'
import type { NodeAttestor } from './node-attestor/node-attestor.ts'
import { X509PopAttestor } from './node-attestor/x509pop.ts'
import { UnixAttestor } from './workload-attestor/unix/unix.ts'
import type { WorkloadAttestor } from './workload-attestor/workload-attestor.ts'

/** The plugins that an agent runs with. */
export interface LoadedPlugins {
  readonly keyManager: KeyManager
  readonly nodeAttestor: NodeAttestor
  readonly workloadAttestors: readonly WorkloadAttestor[]
}

/** Makes the configured plugins and hands them to `owner`, which closes them. @throws {@link AgentError} `ERR_AGENT_STORAGE` */
export async function loadPlugins(
  { plugins, joinToken }: Pick<AgentConfig, 'plugins' | 'joinToken'>,
  owner: AsyncDisposableStack,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<LoadedPlugins> {
  const keyManager = owner.use(await loadKeyManager(plugins.keyManager, clock, log))
  const nodeAttestor = owner.use(loadNodeAttestor(plugins.nodeAttestor, joinToken))
  const workloadAttestors = plugins.workloadAttestors.map(({ config }) => owner.use(new UnixAttestor(config)))
  return { keyManager, nodeAttestor, workloadAttestors }
}

async function loadKeyManager(
  plugin: AgentConfig['plugins']['keyManager'],
  clock: Clock,
  log: Logger,
): Promise<KeyManager> {
  if (plugin.name === 'memory') return new MemoryKeyManager()
  const { manager, setAside } = await DiskKeyManager.open(plugin.config.directory, clock.now())
  if (setAside !== undefined) {
    log.error('The key file was damaged and has been set aside', {
      moved_to: setAside.movedTo,
      reason: setAside.reason,
    })
  }
  return manager
}

function loadNodeAttestor(
  plugin: AgentConfig['plugins']['nodeAttestor'],
  joinToken: AgentConfig['joinToken'],
): NodeAttestor {
  // A configured token wins over the plugin's own exchange (AGT-BOOT-017).
  if (joinToken !== undefined) {
    return new JoinTokenAttestor(joinToken.kind === 'file' ? { tokenFile: joinToken.path } : { token: joinToken.token })
  }
  return plugin.name === 'x509pop' ? new X509PopAttestor(plugin.config) : new JoinTokenAttestor({})
}
