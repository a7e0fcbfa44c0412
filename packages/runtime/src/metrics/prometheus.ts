import type { Counter, Gauge, Registry, Summary } from 'prom-client'
import type { Clock } from '../clock/clock.ts'
import type { TelemetryConfig } from '../config/program-config.ts'
import type { MetricLabels, Metrics } from './metrics.ts'
import { filterLabels, metricFilter } from './sanitize.ts'

type Kind = 'counter' | 'gauge' | 'summary'

interface Instrument {
  readonly kind: Kind
  readonly labelNames: ReadonlySet<string>
  readonly series: Set<string>
  readonly metric: Counter | Gauge | Summary
}

/** So many different sets of labels a name may have; more are dropped, so that nobody fills our memory with them. */
const MOST_SERIES = 2000

export interface PrometheusMetricsOptions {
  readonly config: TelemetryConfig
  /** Value of the label `trust_domain`, if that is on. */
  readonly trustDomain: string
  /** Value of the label `host`, if that is on. */
  readonly hostname: string
  readonly clock: Pick<Clock, 'monotonic'>
  readonly client: typeof import('prom-client')
}

/** Metrics that a Prometheus server can fetch. Names are the parts joined by `_`, times are summaries, as SPIRE has them. */
export class PrometheusMetrics implements Metrics {
  readonly registry: Registry
  readonly #options: PrometheusMetricsOptions
  readonly #filter: ReturnType<typeof metricFilter>
  readonly #common: Readonly<Record<string, string>>
  readonly #instruments = new Map<string, Instrument>()

  constructor(options: PrometheusMetricsOptions) {
    const { config, client } = options
    this.#options = options
    this.#filter = metricFilter(config)
    this.#common = {
      ...(config.hostnameLabel ? { host: options.hostname } : {}),
      ...(config.trustDomainLabel ? { trust_domain: options.trustDomain } : {}),
    }
    this.registry = new client.Registry()
  }

  incrementCounter(key: readonly string[], labels: MetricLabels = {}, amount = 1): void {
    this.#record('counter', key, labels, (metric, values) => (metric as Counter).inc(values, amount))
  }

  setGauge(key: readonly string[], value: number, labels: MetricLabels = {}): void {
    this.#record('gauge', key, labels, (metric, values) => (metric as Gauge).set(values, value))
  }

  addSample(key: readonly string[], value: number, labels: MetricLabels = {}): void {
    this.#record('summary', key, labels, (metric, values) => (metric as Summary).observe(values, value))
  }

  startCall(key: readonly string[], labels: MetricLabels = {}) {
    const own: Record<string, string> = { ...labels }
    const started = this.#options.clock.monotonic()
    let ended = false
    return {
      addLabel: (name: string, value: string) => {
        own[name] = value
      },
      end: (status: string) => {
        if (ended) return
        ended = true
        const complete = { ...own, status }
        this.incrementCounter(key, complete)
        this.addSample([...key, 'elapsed_time'], this.#options.clock.monotonic() - started, complete)
      },
    }
  }

  #record(
    kind: Kind,
    key: readonly string[],
    labels: MetricLabels,
    apply: (metric: Instrument['metric'], values: Record<string, string>) => void,
  ): void {
    const parts = [this.#options.config.metricPrefix, ...key]
    if (!this.#filter.allowsKey(parts.join('.'))) return
    const values = filterLabels({ ...this.#common, ...labels }, this.#filter)
    const name = parts
      .join('_')
      .replace(/[^A-Za-z0-9_:]/g, '_')
      .replace(/^(?=\d)/, '_')
    const instrument = this.#instrument(kind, name, Object.keys(values))
    if (instrument === undefined) return
    const series = JSON.stringify(Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    if (!instrument.series.has(series)) {
      if (instrument.series.size >= MOST_SERIES) return
      instrument.series.add(series)
    }
    apply(instrument.metric, values)
  }

  /** The instrument of a name. One that turns up with labels it never had begins anew with them: the client library fixes names of labels. */
  #instrument(kind: Kind, name: string, labelNames: readonly string[]): Instrument | undefined {
    const known = this.#instruments.get(name)
    if (known !== undefined && known.kind !== kind) return undefined
    if (known !== undefined && labelNames.every(label => known.labelNames.has(label))) return known
    if (known !== undefined) this.registry.removeSingleMetric(name)
    const names = new Set([...(known?.labelNames ?? []), ...labelNames])
    const common = { name, help: name, labelNames: [...names], registers: [this.registry] }
    const { Counter, Gauge, Summary } = this.#options.client
    const metric =
      kind === 'counter'
        ? new Counter(common)
        : kind === 'gauge'
          ? new Gauge(common)
          : new Summary({ ...common, percentiles: [0.5, 0.9, 0.99], maxAgeSeconds: 10, ageBuckets: 5 })
    const instrument = { kind, labelNames: names, series: new Set<string>(), metric }
    this.#instruments.set(name, instrument)
    return instrument
  }
}
