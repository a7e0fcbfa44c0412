import { health, reflectionV1, reflectionV1alpha, workload } from '@plastron/api'
import { callerKey, GrpcServer, healthService, type Logger, type Metrics, reflectionServices } from '@plastron/runtime'
import { reasonOf } from '../agent-error.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import type { JwtIssuer } from '../identity/jwt-issuer.ts'
import type { WitIssuer } from '../identity/wit-issuer.ts'
import type { X509Issuer } from '../identity/x509-issuer.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import { rpcMetrics } from './rpc-metrics.ts'
import { requireSecurityHeader } from './security-header.ts'
import { jwtMethods } from './workload-jwt.ts'
import type { WorkloadSessions } from './workload-session.ts'
import { witMethods } from './workload-wit.ts'
import { x509Methods } from './workload-x509.ts'

/** What the public socket serves from. */
export interface PublicServerOptions {
  readonly config: Pick<AgentConfig, 'workloadApiEnabled' | 'allowUnauthenticatedVerifiers' | 'allowedForeignJwtClaims'>
  readonly sessions: WorkloadSessions
  readonly x509: X509Issuer
  readonly jwt: JwtIssuer
  readonly wit: WitIssuer
  readonly time: ServerTime
  readonly metrics: Metrics
  readonly log: Logger
  readonly isServing: () => boolean
}

/**
 * Taking the first answer of a stream and leaving is how a workload fetches once, so leaving often is no attack here. What a caller can make the
 * agent do at a time is bounded by the calls that a connection may have open. No request of a workload comes near 1 MiB.
 */
const SAFEGUARDS = { streamResetBurst: 100_000, streamResetRate: 10_000, maxRequestBytes: 1 << 20 }

/** The gRPC server behind the public socket: Workload API, health and reflection (AGT-WL-001). */
export function publicServer(options: PublicServerOptions): GrpcServer {
  const { config, sessions, x509, jwt, wit, time, metrics, log, isServing } = options
  const server = new GrpcServer({
    interceptors: [rpcMetrics(metrics), requireSecurityHeader],
    safeguards: SAFEGUARDS,
    onUnexpectedError: (error, call) =>
      log.error('A call failed for a reason of ours', { method: call.path, error: reasonOf(error) }),
    onRefused: peer =>
      log.warn('A caller has too many connections; another one was closed', { caller: callerKey(peer) }),
  })
  if (config.workloadApiEnabled) {
    server.add(workload.SpiffeWorkloadAPI, {
      ...x509Methods(sessions, x509, config.allowUnauthenticatedVerifiers),
      ...jwtMethods(sessions, jwt, {
        allowUnauthenticatedVerifiers: config.allowUnauthenticatedVerifiers,
        allowedForeignClaims: config.allowedForeignJwtClaims,
      }),
      ...witMethods(sessions, wit, time, config.allowUnauthenticatedVerifiers),
    })
  }
  server.add(
    health.Health,
    healthService(async () => !config.workloadApiEnabled || isServing()),
  )
  const reflection = reflectionServices([
    ...(config.workloadApiEnabled ? [workload.SpiffeWorkloadAPI] : []),
    health.Health,
  ])
  return server
    .add(reflectionV1.ServerReflection, reflection.v1)
    .add(reflectionV1alpha.ServerReflection, reflection.v1alpha)
}
