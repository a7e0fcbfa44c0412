export { Catalog, type LoadedPlugin, PluginError } from './catalog/catalog.ts'
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
export { DataFolder } from './data-folder/data-folder.ts'
export { DataFolderError } from './data-folder/data-folder-error.ts'
export { removeTemporaryFiles, writeFileDurably } from './data-folder/durable-file.ts'
export { isSpireKeyFile } from './data-folder/spire-state.ts'
export { Call, type CallKey, callKey } from './grpc/call.ts'
export { callerKey } from './grpc/caller-key.ts'
export { Channel, type ChannelOptions } from './grpc/channel.ts'
export { type CallOptions, type ClientMethod, DEFAULT_TIMEOUT_MS, type ServiceClient } from './grpc/client.ts'
export { connectMutualTls, type TlsChannelOptions } from './grpc/connect-mutual-tls.ts'
export { connectUnix, type UnixChannelOptions } from './grpc/connect-unix.ts'
export { GrpcError, INTERNAL_MESSAGE } from './grpc/grpc-error.ts'
export { composeInterceptors, type Interceptor } from './grpc/interceptor.ts'
export { limitCall } from './grpc/limit-call.ts'
export { reflectionServices } from './grpc/reflection.ts'
export { defaultSafeguards, type Safeguards } from './grpc/safeguards.ts'
export { GrpcServer, type GrpcServerOptions } from './grpc/server.ts'
export { EncodedMessage, type Handler, type Handlers, methodPath, type Response } from './grpc/service.ts'
export { type GrpcCode, grpcCodeInGo, grpcCodeName, grpcCodes } from './grpc/status-code.ts'
export { Health, type HealthCheck, type HealthOptions, type HealthReport, type HealthState } from './health/health.ts'
export { type HealthListener, type HealthListenerOptions, listenHealth } from './health/health-listener.ts'
export { healthService } from './health/health-service.ts'
export { TaskError, TaskGroup } from './lifecycle/task-group.ts'
export { untilAborted } from './lifecycle/until-aborted.ts'
export { DeadlineError, withDeadline } from './lifecycle/with-deadline.ts'
export { AddressSet } from './listeners/address-set.ts'
export { listenTls, type TlsListener, type TlsListenerOptions } from './listeners/listen-tls.ts'
export {
  listenUnix,
  MAX_SOCKET_PATH_BYTES,
  type UnixListener,
  type UnixListenerOptions,
} from './listeners/listen-unix.ts'
export { ListenerError, type ListenerErrorCode } from './listeners/listener-error.ts'
export type { Peer, TlsPeer, UnixPeer, VerifiedIdentity } from './listeners/peer.ts'
export { PeerProcess } from './listeners/peer-process.ts'
export { assertTrustedSocketFolder } from './listeners/socket-folder.ts'
export type { TlsIdentity } from './listeners/tls-identity.ts'
export { formatJson, formatText } from './logging/format.ts'
export { isLevelWritten, type LogLevel, logLevels, parseLogLevel } from './logging/log-level.ts'
export { LogError, type LogOutput, logToFile, logToStream } from './logging/log-output.ts'
export { type LogFields, type Logger, type LogLevelControl, type LogRecord, silentLogger } from './logging/logger.ts'
export { openLogger, type RootLogger, type RootLoggerOptions } from './logging/root-logger.ts'
export { type CallMeasurement, type MetricLabels, type Metrics, noMetrics } from './metrics/metrics.ts'
export { snakeCase } from './metrics/sanitize.ts'
export { openTelemetry, type Telemetry, TelemetryError, type TelemetryOptions } from './metrics/telemetry.ts'
export { measureUptime } from './metrics/uptime.ts'
export { inspectorProblem } from './process/inspector.ts'
export { type Daemon, type DaemonSettings, type RunDaemonOptions, runDaemon } from './process/run-daemon.ts'
export { type DaemonSignals, handleSignals, type SignalActions } from './process/signals.ts'
export { tightenUmask } from './process/umask.ts'
export {
  RateLimitError,
  type RateLimitErrorCode,
  RateLimiter,
  type RateLimiterOptions,
  type WaitOptions,
} from './rate-limit/rate-limiter.ts'
export { type Rate, type Reservation, TokenBucket } from './rate-limit/token-bucket.ts'
export { version } from './version.ts'
