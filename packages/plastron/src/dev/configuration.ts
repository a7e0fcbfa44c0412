import { join } from 'node:path'
import type { StateFolder } from './state-folder.ts'

/** What the two generated configuration files need to know. */
export interface DevConfiguration {
  readonly trustDomain: string
  readonly serverPort: number
  readonly folder: StateFolder
}

function serverDataFolder(folder: StateFolder): string {
  return join(folder.path, 'server', 'data')
}

export function agentDataFolder(folder: StateFolder): string {
  return join(folder.path, 'agent', 'data')
}

export function joinTokenPath(folder: StateFolder): string {
  return join(folder.path, 'agent', 'join-token')
}

export function trustBundlePath(folder: StateFolder): string {
  return join(folder.path, 'agent', 'bootstrap.pem')
}

/** A server.conf as a user would write it. */
export function serverConfiguration({ trustDomain, serverPort, folder }: DevConfiguration): string {
  const data = serverDataFolder(folder)
  return `# Written by "plastron dev" at each start; changes here are lost.
server {
  bind_address = "127.0.0.1"
  bind_port = ${serverPort}
  socket_path = ${quoted(folder.serverSocketPath)}
  trust_domain = ${quoted(trustDomain)}
  data_dir = ${quoted(data)}
  log_level = "INFO"
}

plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = ${quoted(join(data, 'plastron.sqlite3'))}
    }
  }
  KeyManager "disk" {
    plugin_data {
      keys_path = ${quoted(join(data, 'keys.json'))}
    }
  }
  NodeAttestor "join_token" {
    plugin_data {}
  }
}
`
}

/** An agent.conf as a user would write it. The token's value is in a file of its own, never in here. */
export function agentConfiguration({ trustDomain, serverPort, folder }: DevConfiguration): string {
  const data = agentDataFolder(folder)
  return `# Written by "plastron dev" at each start; changes here are lost.
agent {
  server_address = "127.0.0.1"
  server_port = ${serverPort}
  socket_path = ${quoted(folder.agentSocketPath)}
  admin_socket_path = ${quoted(folder.agentAdminSocketPath)}
  trust_domain = ${quoted(trustDomain)}
  trust_bundle_path = ${quoted(trustBundlePath(folder))}
  data_dir = ${quoted(data)}
  join_token_file = ${quoted(joinTokenPath(folder))}
  log_level = "INFO"
}

plugins {
  NodeAttestor "join_token" {
    plugin_data {}
  }
  KeyManager "disk" {
    plugin_data {
      directory = ${quoted(data)}
    }
  }
  WorkloadAttestor "unix" {
    plugin_data {}
  }
}
`
}

/** An HCL string: JSON's escapes are HCL's. */
function quoted(text: string): string {
  return JSON.stringify(text)
}
