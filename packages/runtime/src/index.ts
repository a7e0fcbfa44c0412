export type { BuiltInPlugin, ConfiguredPlugin, PluginCount, PluginOrigin } from './catalog/plugin.ts'
export type { Clock } from './clock/clock.ts'
export { createSystemClock, MAX_TIMER_MS, systemClock, type TimeSource } from './clock/system-clock.ts'
export type {
  HealthListenerConfig,
  LogConfig,
  PrometheusConfig,
  PrometheusTlsConfig,
  TelemetryConfig,
} from './config/program-config.ts'
export { TaskError, TaskGroup } from './lifecycle/task-group.ts'
export { DeadlineError, withDeadline } from './lifecycle/with-deadline.ts'
export { isLevelWritten, type LogLevel, logLevels, parseLogLevel } from './logging/log-level.ts'
export { type LogFields, type Logger, type LogLevelControl, type LogRecord, silentLogger } from './logging/logger.ts'
export { type CallMeasurement, type MetricLabels, type Metrics, noMetrics } from './metrics/metrics.ts'
