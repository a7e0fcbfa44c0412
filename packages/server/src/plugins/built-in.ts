import type { BuiltInPlugin } from '@plastron/runtime'
import type { ServerX509popConfig } from '../config/server-config.ts'
import { DiskKeyManager } from './key-manager/disk.ts'
import type { KeyManager } from './key-manager/key-manager.ts'
import { MemoryKeyManager } from './key-manager/memory.ts'
import type { NodeAttestor } from './node-attestor/node-attestor.ts'
import { X509popAttestor } from './node-attestor/x509pop.ts'

// biome-ignore lint/suspicious/noExplicitAny: each plugin's configuration was accepted by its own schema, under its name
type AnyConfig = any

/** The key managers that are built in. */
export const keyManagers: readonly BuiltInPlugin<KeyManager, AnyConfig, undefined>[] = [
  { type: 'KeyManager', name: 'disk', create: ({ keysPath }: { keysPath: string }) => DiskKeyManager.open(keysPath) },
  { type: 'KeyManager', name: 'memory', create: () => new MemoryKeyManager() },
]

/** The node attestors that are built in. Join tokens are the server's own record: the plugin has nothing to do. */
export const nodeAttestors: readonly BuiltInPlugin<NodeAttestor | undefined, AnyConfig, undefined>[] = [
  { type: 'NodeAttestor', name: 'join_token', create: () => undefined },
  { type: 'NodeAttestor', name: 'x509pop', create: (config: ServerX509popConfig) => X509popAttestor.open(config) },
]
