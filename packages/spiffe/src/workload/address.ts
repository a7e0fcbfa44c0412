import { isIP } from 'node:net'
import { quote } from '../id/characters.ts'
import { SpiffeError } from '../spiffe-error.ts'

/** The environment variable that names the Workload API's address. Workload Endpoint standard, "Locating the Endpoint". */
export const ENDPOINT_SOCKET_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'

/** Where a Workload API listens. */
export type WorkloadApiAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/**
 * Reads the address of a Workload API: `unix:///absolute/path` (or `unix:/absolute/path`), or `tcp://<IP>:<port>`; nothing
 * else may be in it. Percent-escapes in the path are decoded.
 *
 * @throws {@link SpiffeError} `ERR_WORKLOAD_ADDRESS`
 * @see Workload Endpoint standard, "Locating the Endpoint"
 */
export function parseWorkloadApiAddress(text: string): WorkloadApiAddress {
  const colon = text.indexOf(':')
  const scheme = text.slice(0, Math.max(colon, 0)).toLowerCase()
  const rest = text.slice(colon + 1)
  if (scheme !== 'unix' && scheme !== 'tcp') throw refuse(text, 'scheme must be "unix" or "tcp"')
  if (rest.includes('?')) throw refuse(text, 'a query is not allowed')
  if (rest.includes('#')) throw refuse(text, 'a fragment is not allowed')
  return scheme === 'unix' ? parseUnix(text, rest) : parseTcp(text, rest)
}

/**
 * The address to use: the given one, or else that of `SPIFFE_ENDPOINT_SOCKET` in `env`.
 *
 * @throws {@link SpiffeError} `ERR_WORKLOAD_ADDRESS_MISSING` when there is neither, `ERR_WORKLOAD_ADDRESS`
 */
export function findWorkloadApiAddress(
  address: string | undefined,
  env: { readonly [name: string]: string | undefined },
): WorkloadApiAddress {
  const text = address ?? env[ENDPOINT_SOCKET_VARIABLE]
  if (text === undefined || text === '') {
    throw new SpiffeError(
      'ERR_WORKLOAD_ADDRESS_MISSING',
      `workload endpoint socket address is not configured: pass an address or set ${ENDPOINT_SOCKET_VARIABLE}`,
    )
  }
  return parseWorkloadApiAddress(text)
}

/** The address as text, in the form that {@link parseWorkloadApiAddress} reads. */
export function formatWorkloadApiAddress(address: WorkloadApiAddress): string {
  if (address.kind === 'unix') return `unix://${address.path.split('/').map(encodeURIComponent).join('/')}`
  return `tcp://${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}`
}

function parseUnix(text: string, rest: string): WorkloadApiAddress {
  const encoded = rest.startsWith('//') ? rest.slice(2) : rest
  if (encoded === '' || encoded === '/') throw refuse(text, 'a unix address needs the path of a socket')
  if (!encoded.startsWith('/')) throw refuse(text, 'a unix address has no authority and an absolute path')
  let path: string
  try {
    path = decodeURIComponent(encoded)
  } catch (cause) {
    throw refuse(text, 'the path has a malformed percent-escape', cause)
  }
  if (path.includes('\0')) throw refuse(text, 'the path holds a NUL')
  return { kind: 'unix', path }
}

function parseTcp(text: string, rest: string): WorkloadApiAddress {
  const match = /^\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(rest)
  if (match === null) throw refuse(text, 'a tcp address is an IP address and a port, and nothing else')
  const [, v6, v4, digits] = match
  const host = v6 ?? v4 ?? ''
  if (isIP(host) !== (v6 === undefined ? 4 : 6)) throw refuse(text, 'the host of a tcp address must be an IP address')
  const port = Number(digits)
  if (port < 1 || port > 65_535) throw refuse(text, 'the port must be between 1 and 65535')
  return { kind: 'tcp', host, port }
}

function refuse(text: string, rule: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_WORKLOAD_ADDRESS', `Workload API address ${quote(text)}: ${rule}`, { cause })
}
