/** Labels of one measurement. Names and values are cleaned as SPIRE cleans them: each run of characters other than letters, digits and `_` becomes `_`. */
export type MetricLabels = Readonly<Record<string, string>>

/**
 * Where measurements go. A key is a list of parts (`['rpc', 'entry', 'v1', 'entry', 'batch_create_entry']`); the program's prefix is put before
 * it, and sinks join the parts their own way. Calls never throw and never wait.
 */
export interface Metrics {
  /** Adds `amount`, one by default. */
  incrementCounter(key: readonly string[], labels?: MetricLabels, amount?: number): void
  /** The current value of something that goes up and down. */
  setGauge(key: readonly string[], value: number, labels?: MetricLabels): void
  /** One value of a distribution. */
  addSample(key: readonly string[], value: number, labels?: MetricLabels): void
  /**
   * Begins to measure a call. `end` counts it under `key` and puts its milliseconds under `key` + `elapsed_time`, both with the label `status`,
   * the gRPC status name (`OK`, `NotFound`, …).
   */
  startCall(key: readonly string[], labels?: MetricLabels): CallMeasurement
}

/** One call that is being measured. */
export interface CallMeasurement {
  /** Adds a label to what `end` counts. */
  addLabel(name: string, value: string): void
  /** Only the first call counts. */
  end(status: string): void
}

const unmeasured: CallMeasurement = { addLabel: () => undefined, end: () => undefined }

/** Measures nothing: what a program without telemetry runs with. */
export const noMetrics: Metrics = {
  incrementCounter: () => undefined,
  setGauge: () => undefined,
  addSample: () => undefined,
  startCall: () => unmeasured,
}
