import type { LogLevel } from '../logging/log-level.ts'

// What the configuration of every daemon has in common, once it has been accepted.

/** Where and how a daemon logs. */
export interface LogConfig {
  readonly level: LogLevel
  readonly format: 'text' | 'json'
  /** Absolute path; absent: standard output. */
  readonly file?: string | undefined
  /** Adds `file` and `func` to each line. */
  readonly sourceLocation: boolean
}

/** The HTTP listener of the health checks. Absent in a daemon's configuration: no listener. */
export interface HealthListenerConfig {
  /** Without square brackets. */
  readonly bindAddress: string
  readonly bindPort: number
  readonly livePath: string
  readonly readyPath: string
}

/** Where measurements go and which are let through. */
export interface TelemetryConfig {
  readonly prometheus?: PrometheusConfig | undefined
  /** First part of every name. */
  readonly metricPrefix: string
  readonly trustDomainLabel: boolean
  readonly hostnameLabel: boolean
  /** Whole names with `.` between parts. The longest prefix that fits decides; names that none fits are let through. */
  readonly allowedPrefixes: readonly string[]
  readonly blockedPrefixes: readonly string[]
  readonly allowedLabels: readonly string[]
  readonly blockedLabels: readonly string[]
}

export interface PrometheusConfig {
  readonly host: string
  readonly port: number
  readonly tls?: PrometheusTlsConfig | undefined
}

/** Files of PEM text, read once at start. */
export interface PrometheusTlsConfig {
  readonly certFile: string
  readonly keyFile: string
  /** Client certificates must then chain to one of these. */
  readonly clientCaFile?: string | undefined
}
