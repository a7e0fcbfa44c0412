import type { MetricLabels, Metrics } from '../metrics/metrics.ts'

/** What a {@link recordingMetrics} kept of one measurement. `key` is joined with dots. */
export interface RecordedMeasurement {
  /** Which call it came from. */
  readonly kind: 'counter' | 'gauge' | 'sample'
  /** The parts of the key, joined with dots. */
  readonly key: string
  /** Amount, value or sample. */
  readonly value: number
  /** As they were given. */
  readonly labels: MetricLabels
}

/** Metrics that keep every measurement. A call is kept as its counter; its elapsed time, which no test can foretell, is not kept. */
export function recordingMetrics(): Metrics & { readonly measurements: readonly RecordedMeasurement[] } {
  const measurements: RecordedMeasurement[] = []
  const keep = (
    kind: RecordedMeasurement['kind'],
    key: readonly string[],
    value: number,
    labels: MetricLabels = {},
  ) => {
    measurements.push({ kind, key: key.join('.'), value, labels })
  }
  return {
    measurements,
    incrementCounter: (key, labels, amount = 1) => keep('counter', key, amount, labels),
    setGauge: (key, value, labels) => keep('gauge', key, value, labels),
    addSample: (key, value, labels) => keep('sample', key, value, labels),
    startCall(key, labels = {}) {
      const own: Record<string, string> = { ...labels }
      let ended = false
      return {
        addLabel(name, value) {
          own[name] = value
        },
        end(status) {
          if (!ended) keep('counter', key, 1, { ...own, status })
          ended = true
        },
      }
    },
  }
}
