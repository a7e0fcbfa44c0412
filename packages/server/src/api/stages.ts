import type { Clock, Interceptor, Logger, Metrics } from '@plastron/runtime'
import { auditStage } from './audit.ts'
import { type AuthorizationOptions, authorizationStage } from './authorization.ts'
import { metricsStage } from './metrics.ts'
import { rateLimitStage } from './rate-limits.ts'
import { requestLogStage } from './request-log.ts'

/** What every call of the API passes through is made from. */
export interface ApiStagesOptions extends AuthorizationOptions {
  readonly log: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  readonly rateLimit: { readonly attestation: boolean; readonly signing: boolean }
  readonly auditLogEnabled: boolean
}

/** The stages around every call, outermost first: log, metrics, authorization, rate limit, audit (SRV-API-010). */
export function apiStages(options: ApiStagesOptions): readonly Interceptor[] {
  return [
    requestLogStage(options.log),
    metricsStage(options.metrics),
    authorizationStage(options),
    rateLimitStage({ ...options.rateLimit, clock: options.clock }),
    ...(options.auditLogEnabled ? [auditStage()] : []),
  ]
}
