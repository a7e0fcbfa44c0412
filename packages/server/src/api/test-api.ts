import { join } from 'node:path'
import type { DescService } from '@bufbuild/protobuf'
import { agentV1, bundleV1, entryV1 } from '@plastron/api'
import {
  type Channel,
  connectUnix,
  GrpcError,
  GrpcServer,
  listenUnix,
  type Peer,
  type ServiceClient,
  type VerifiedIdentity,
} from '@plastron/runtime'
import { FakeClock, type RecordedEvent, recordingLogger, recordingMetrics, tempFolder } from '@plastron/runtime/testing'
import { SpiffeId, TrustDomain } from '@plastron/spiffe'
import { openTestDatastore, type TestDatastore } from '../datastore/test-datastore.ts'
import { openRegistry, type Registry } from '../registration/index.ts'
import { agentHandlers } from './agent-service.ts'
import { auditedAttestation, auditRenewal } from './attestation-audit.ts'
import { bundleHandlers } from './bundle-service.ts'
import { entryHandlers } from './entry-service.ts'
import { apiStages } from './stages.ts'

export const trustDomain = TrustDomain.parse('example.org')
export const adminId = SpiffeId.parse('spiffe://example.org/admin')
export const foreignAdminId = SpiffeId.parse('spiffe://partner.org/admin')

/** A caller over TLS, verified by the listener, with a certificate of this serial number and end. */
export function tlsPeer(
  id: string | undefined,
  options: { serial?: bigint; notAfter?: Date; address?: string } = {},
): Peer {
  const { serial = 1n, notAfter = new Date('2100-01-01T00:00:00Z'), address = '192.0.2.1' } = options
  if (id === undefined) return { kind: 'tls', address, port: 1 }
  const identity: VerifiedIdentity = { spiffeId: SpiffeId.parse(id), serialNumber: serial.toString(), notAfter }
  return { kind: 'tls', address, port: 1, identity }
}

export const agentId = (name: string): string => `spiffe://example.org/spire/agent/x509pop/${name}`

/** A datastore, a registry and the API before them, reached over real gRPC as whichever caller a test wants. */
export interface TestApi extends AsyncDisposable {
  readonly house: TestDatastore
  readonly registry: Registry
  readonly clock: FakeClock
  readonly events: readonly RecordedEvent[]
  readonly metrics: ReturnType<typeof recordingMetrics>
  /** A client that calls as this peer; without one as a local caller. */
  client<S extends DescService>(service: S, peer?: Peer): Promise<ServiceClient<S>>
  /** Stores an attested agent and returns it as a caller. */
  attest(name: string, selectors?: readonly string[]): Promise<Peer>
}

export async function openTestApi(
  options: { auditLogEnabled?: boolean; signing?: boolean; attestation?: boolean } = {},
): Promise<TestApi> {
  await using stack = new AsyncDisposableStack()
  const house = stack.use(await openTestDatastore())
  // Deadlines of calls are wall time; the datastore's time is the test's own.
  const clock = new FakeClock(new Date())
  const now = (): Date => new Date(house.now * 1000)
  const registry = stack.use(await openRegistry({ datastore: house.store, trustDomain: trustDomain.name, now }))
  const log = recordingLogger()
  const metrics = recordingMetrics()
  const interceptors = apiStages({
    trustDomain,
    registry,
    log,
    metrics,
    clock,
    adminIds: [adminId, foreignAdminId],
    rateLimit: { attestation: options.attestation ?? true, signing: options.signing ?? true },
    auditLogEnabled: options.auditLogEnabled ?? false,
  })
  const server = stack.use(new GrpcServer({ interceptors }))
  const deps = { trustDomain, datastore: house.store, registry, now }
  server.add(entryV1.Entry, entryHandlers(deps))
  server.add(agentV1.Agent, {
    ...agentHandlers(deps),
    // Attestation itself is another room's; here it admits whoever comes.
    attestAgent: (requests, call) =>
      auditedAttestation(call, requests, async function* (noted) {
        for await (const _ of noted) {
          const id = { trustDomain: trustDomain.name, path: '/spire/agent/x509pop/new' }
          yield { step: { case: 'result', value: { svid: { id } } } }
          return
        }
      }),
    renewAgent: async (request, call) => {
      auditRenewal(call, request.params?.csr ?? new Uint8Array())
      return {}
    },
  })
  server.add(bundleV1.Bundle, bundleHandlers(deps))
  const folder = stack.use(await tempFolder())
  const channels = new Map<Peer | undefined, Channel>()
  const owned = stack.move()
  const connect = async (peer: Peer | undefined): Promise<Channel> => {
    const known = channels.get(peer)
    if (known !== undefined) return known
    const path = join(folder.path, `s${channels.size}`)
    const onConnection = (socket: Parameters<typeof server.accept>[0], local: Peer): void =>
      server.accept(socket, peer ?? local)
    owned.use(await listenUnix({ path, mode: 0o700, folderMode: 0o700, lock: { held: true }, onConnection }))
    const channel = owned.use(connectUnix(path))
    channels.set(peer, channel)
    return channel
  }
  return {
    house,
    registry,
    clock,
    metrics,
    events: log.events,
    client: async (service, peer) => (await connect(peer)).client(service),
    attest: async (name, selectors = []) => {
      const id = agentId(name)
      const expiresAt = house.now + 3600
      await house.store.agents.attest({
        id,
        attestationType: 'x509pop',
        serial: '1',
        expiresAt,
        canReattest: true,
        selectors,
      })
      return tlsPeer(id)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The error that a call ends with. */
export async function rejection(call: Promise<unknown>): Promise<GrpcError> {
  try {
    await call
  } catch (error) {
    if (error instanceof GrpcError) return error
    throw error
  }
  throw new Error('the call succeeded')
}

/** Everything that a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}
