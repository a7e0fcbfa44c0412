import type { LogLevel } from '../logging/log-level.ts'

// What the configuration of every daemon has in common, once it has been accepted.

/** Where and how a daemon logs. */
export interface LogConfig {
  /** Less severe events are not written. */
  readonly level: LogLevel
  /** Layout of a line. */
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
  /** 0: any that is free. */
  readonly bindPort: number
  /** Begins with `/`. */
  readonly livePath: string
  /** Begins with `/`. */
  readonly readyPath: string
}

/** Where measurements go and which are let through. */
export interface TelemetryConfig {
  /** Absent: nothing is served. */
  readonly prometheus?: PrometheusConfig | undefined
  /** First part of every name. */
  readonly metricPrefix: string
  /** Whether each measurement has the label `trust_domain`. */
  readonly trustDomainLabel: boolean
  /** Whether each measurement has the label `host`. */
  readonly hostnameLabel: boolean
  /** Whole names with `.` between parts. The longest prefix that fits decides; names that none fits are let through. */
  readonly allowedPrefixes: readonly string[]
  /** As `allowedPrefixes`, for names that are dropped. */
  readonly blockedPrefixes: readonly string[]
  /** Names of labels that are let through; empty: all. */
  readonly allowedLabels: readonly string[]
  /** Names of labels that are dropped. */
  readonly blockedLabels: readonly string[]
}

/** The HTTP listener that Prometheus asks for measurements. */
export interface PrometheusConfig {
  /** IP address or name to listen on. */
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** Absent: plain HTTP. */
  readonly tls?: PrometheusTlsConfig | undefined
}

/** Files of PEM text, read once at start. */
export interface PrometheusTlsConfig {
  /** The listener's certificate, then those between it and the root. */
  readonly certFile: string
  /** Its private key. */
  readonly keyFile: string
  /** Client certificates must then chain to one of these. */
  readonly clientCaFile?: string | undefined
}
