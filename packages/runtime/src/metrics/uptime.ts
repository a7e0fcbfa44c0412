import type { Clock } from '../clock/clock.ts'
import type { Metrics } from './metrics.ts'

/** Tells that the program runs: the gauge `started` once, `uptime_in_ms` every 10 s, until the signal is aborted. */
export async function measureUptime(
  metrics: Metrics,
  clock: Clock,
  about: { readonly version: string; readonly trustDomain: string },
  signal: AbortSignal,
): Promise<void> {
  const started = clock.monotonic()
  metrics.setGauge(['started'], 1, { version: about.version, trust_domain_id: about.trustDomain })
  await clock.every(10_000, () => metrics.setGauge(['uptime_in_ms'], Math.round(clock.monotonic() - started)), signal)
}
