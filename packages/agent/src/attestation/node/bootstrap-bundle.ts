import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Bundle, type TrustDomain, X509Bundle } from '@plastron/spiffe'
import { WorkloadApiClient } from '@plastron/spiffe/workload'
import { AgentError, reasonOf } from '../../agent-error.ts'
import type { BootstrapConfig, BundleFormat } from '../../config/agent-config.ts'

const MAX_BYTES = 4 * 1024 * 1024
const HTTP_TIMEOUT_MS = 30_000
const WORKLOAD_API_TIMEOUT_MS = 60_000

/** What an attempt tells the source of the first bundle about itself (AGT-BOOT-008). */
export interface BootstrapAttempt {
  readonly mode: 'bootstrap' | 'rebootstrap'
  /** Attempts to reach the server so far. */
  readonly connectionAttempts: number
  readonly startedAt: Date
  readonly serverAddress: string
  readonly serverPort: number
}

/**
 * Fetches the bundle that the agent meets the server with for the first time. Undefined if it was told to trust whoever answers.
 *
 * @throws {@link AgentError} `ERR_AGENT_BOOTSTRAP`
 */
export async function bootstrapBundle(
  source: BootstrapConfig,
  trustDomain: TrustDomain,
  attempt: BootstrapAttempt,
  signal: AbortSignal,
): Promise<Bundle | undefined> {
  if (source.kind === 'insecure') return undefined
  try {
    const bundle = await fetchBundle(source, trustDomain, attempt, signal)
    if (bundle.x509Bundle.isEmpty) throw new Error('it holds no X.509 authority')
    return bundle
  } catch (cause) {
    signal.throwIfAborted()
    const place = source.kind === 'file' ? source.path : source.kind === 'workload-api' ? source.address : source.url
    throw new AgentError('ERR_AGENT_BOOTSTRAP', `trust bundle ${place} cannot be used: ${reasonOf(cause)}`, { cause })
  }
}

async function fetchBundle(
  source: Exclude<BootstrapConfig, { kind: 'insecure' }>,
  trustDomain: TrustDomain,
  attempt: BootstrapAttempt,
  signal: AbortSignal,
): Promise<Bundle> {
  switch (source.kind) {
    case 'file':
      return parse(await readBundleFile(source.path), source.format, trustDomain)
    case 'url':
      return parse(await get(options => httpsRequest(source.url, options), signal), source.format, trustDomain)
    case 'unix-url': {
      const { pathname, search, host } = urlWithAttempt(source.url, trustDomain, attempt)
      const where = { socketPath: source.socketPath, path: `${pathname}${search}`, headers: { host } }
      return parse(await get(options => httpRequest({ ...options, ...where }), signal), source.format, trustDomain)
    }
    case 'workload-api':
      return fromWorkloadApi(source.address, trustDomain, signal)
  }
}

function parse(document: Buffer, format: BundleFormat, trustDomain: TrustDomain): Bundle {
  if (format === 'spiffe') return Bundle.parse(trustDomain, document)
  return Bundle.fromBundles(X509Bundle.parsePem(trustDomain, document.toString('utf8')))
}

async function readBundleFile(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new Error('it is not a regular file')
    if (stat.size > MAX_BYTES) throw new Error(`it has ${stat.size} bytes, more than ${MAX_BYTES}`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** Redirections are not followed: the address was chosen with care. */
function get(start: (options: RequestOptions) => ClientRequest, signal: AbortSignal): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const request = start({ signal: AbortSignal.any([signal, AbortSignal.timeout(HTTP_TIMEOUT_MS)]), agent: false })
  request.on('error', reject)
  request.on('response', (response: IncomingMessage) => {
    if (response.statusCode !== 200) {
      request.destroy()
      return reject(new Error(`the answer has status ${response.statusCode}, not 200`))
    }
    const chunks: Buffer[] = []
    let size = 0
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_BYTES) request.destroy(new Error(`the answer has more than ${MAX_BYTES} bytes`))
    })
    response.on('error', reject)
    response.on('end', () => resolve(Buffer.concat(chunks)))
  })
  request.end()
  return promise
}

function urlWithAttempt(url: string, trustDomain: TrustDomain, attempt: BootstrapAttempt): URL {
  const full = new URL(url)
  full.searchParams.set('spire-attest-mode', attempt.mode)
  full.searchParams.set('spire-connection-attempts', String(attempt.connectionAttempts))
  full.searchParams.set('spire-attest-start-time', attempt.startedAt.toISOString())
  full.searchParams.set('spire-server-address', attempt.serverAddress)
  full.searchParams.set('spire-server-port', String(attempt.serverPort))
  full.searchParams.set('spiffe-trust-domain', trustDomain.name)
  return full
}

/** The answer must hold the agent's own trust domain (AGT-BOOT-007). */
async function fromWorkloadApi(address: string, trustDomain: TrustDomain, signal: AbortSignal): Promise<Bundle> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(WORKLOAD_API_TIMEOUT_MS)])
  await using client = new WorkloadApiClient({ address })
  const bundle = (await client.fetchX509Bundles({ signal: limited })).get(trustDomain)
  if (bundle === undefined) throw new Error(`the Workload API has no bundle of ${trustDomain}`)
  return Bundle.fromBundles(bundle)
}
