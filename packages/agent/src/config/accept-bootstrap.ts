import type { ConfigReader } from '@plastron/runtime/config'
import type { BootstrapConfig } from './agent-config.ts'
import type { AgentSection } from './agent-schema.ts'

const sources = [
  'insecure_bootstrap',
  'trust_bundle_path',
  'trust_bundle_url',
  'trust_bundle_spiffe_workload_api',
] as const

/** Where the first trust bundle comes from: exactly one source. Undefined when that cannot be said; the problem is then noted. */
export function acceptBootstrap(
  section: AgentSection,
  reader: ConfigReader,
  absolute: (path: string) => string,
): BootstrapConfig | undefined {
  const key = (name: string) => `agent.${name}`
  const chosen = sources.filter(name => section[name] !== undefined && section[name] !== false)
  reader.check(
    chosen.length > 1,
    key(chosen[1] ?? ''),
    `agent: only one of ${chosen.join(', ')} can be set`,
    chosen.map(key),
  )
  reader.check(
    chosen.length === 0,
    key('trust_bundle_path'),
    'agent: trust_bundle_path, trust_bundle_url or trust_bundle_spiffe_workload_api must be set unless insecure_bootstrap is',
    sources.map(key),
  )
  reader.check(
    section.rebootstrap_mode !== 'never' && section.insecure_bootstrap,
    key('insecure_bootstrap'),
    'agent: insecure_bootstrap cannot be used with a rebootstrap_mode other than never',
    [key('rebootstrap_mode')],
  )
  reader.check(
    section.trust_bundle_unix_socket !== undefined && section.trust_bundle_url === undefined,
    key('trust_bundle_unix_socket'),
    'agent: trust_bundle_unix_socket needs trust_bundle_url',
  )
  const format = section.trust_bundle_format
  switch (chosen.length === 1 ? chosen[0] : undefined) {
    case 'insecure_bootstrap':
      return { kind: 'insecure' }
    case 'trust_bundle_path':
      return { kind: 'file', path: absolute(section.trust_bundle_path ?? ''), format }
    case 'trust_bundle_url':
      return fromUrl(section.trust_bundle_url ?? '', section, reader, absolute)
    case 'trust_bundle_spiffe_workload_api':
      return fromWorkloadApi(section.trust_bundle_spiffe_workload_api ?? '', reader)
    default:
      return undefined
  }
}

function fromUrl(
  text: string,
  section: AgentSection,
  reader: ConfigReader,
  absolute: (path: string) => string,
): BootstrapConfig | undefined {
  const path = 'agent.trust_bundle_url'
  const format = section.trust_bundle_format
  if (!URL.canParse(text)) {
    reader.check(true, path, `${path}: ${JSON.stringify(text)} is not a URL`)
    return undefined
  }
  const url = new URL(text)
  const socket = section.trust_bundle_unix_socket
  if (socket === undefined) {
    reader.check(url.protocol !== 'https:', path, `${path} must begin with https://`)
    return { kind: 'url', url: text, format }
  }
  reader.check(url.protocol !== 'http:', path, `${path} must begin with http:// when trust_bundle_unix_socket is set`)
  const reserved = [...url.searchParams.keys()].find(name => /^(spiffe|spire)-/.test(name))
  reader.check(
    reserved !== undefined,
    path,
    `${path}: names of parameters must not begin with spiffe- or spire-, which the agent adds: ${JSON.stringify(reserved ?? '')}`,
  )
  return { kind: 'unix-url', url: text, socketPath: absolute(socket), format }
}

function fromWorkloadApi(address: string, reader: ConfigReader): BootstrapConfig {
  const path = 'agent.trust_bundle_spiffe_workload_api'
  const valid =
    /^unix:(\/\/)?\/[^?#]+$/.test(address) ||
    /^tcp:\/\/(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):\d{1,5}$/.test(address)
  reader.check(
    !valid,
    path,
    `${path}: ${JSON.stringify(address)} is not the address of a Workload API, such as unix:///run/spire/agent.sock`,
  )
  return { kind: 'workload-api', address }
}
