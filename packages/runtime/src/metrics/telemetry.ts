import { constants } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import type { Registry } from 'prom-client'
import type { Clock } from '../clock/clock.ts'
import type { PrometheusConfig, TelemetryConfig } from '../config/program-config.ts'
import type { Logger } from '../logging/logger.ts'
import { type Metrics, noMetrics } from './metrics.ts'
import { PrometheusMetrics } from './prometheus.ts'

/** The sinks could not be opened. */
export class TelemetryError extends Error {
  override readonly name = 'TelemetryError'
  /** The same for every sink that cannot be opened. */
  readonly code = 'ERR_TELEMETRY'
}

/** What telemetry needs beside its configuration. */
export interface TelemetryOptions {
  /** Value of the label `trust_domain`. */
  readonly trustDomain: string
  /** Told of what goes wrong. */
  readonly logger: Logger
  /** Measures calls. */
  readonly clock: Pick<Clock, 'monotonic'>
}

/** A program's metrics and where they can be fetched. */
export interface Telemetry extends AsyncDisposable {
  /** Where measurements go. */
  readonly metrics: Metrics
  /** Of the Prometheus listener; undefined without one. */
  readonly address: AddressInfo | undefined
}

/**
 * Opens what `telemetry { … }` asks for. The libraries are loaded only if anything is.
 *
 * @throws {@link TelemetryError} when the listener cannot be opened or its files cannot be read
 */
export async function openTelemetry(config: TelemetryConfig, options: TelemetryOptions): Promise<Telemetry> {
  const { prometheus } = config
  if (prometheus === undefined)
    return { metrics: noMetrics, address: undefined, [Symbol.asyncDispose]: async () => undefined }
  const client = await import('prom-client')
  const metrics = new PrometheusMetrics({
    config,
    trustDomain: options.trustDomain,
    hostname: hostname(),
    clock: options.clock,
    client,
  })
  client.collectDefaultMetrics({ register: metrics.registry })
  try {
    const listener = await listenPrometheus(prometheus, metrics.registry, options.logger)
    return { metrics, ...listener }
  } catch (error) {
    metrics.registry.clear()
    const reason = error instanceof Error ? error.message : String(error)
    throw new TelemetryError(`cannot serve metrics on ${prometheus.host}:${prometheus.port}: ${reason}`, {
      cause: error,
    })
  }
}

/** Serves the registry at any path over HTTP, or HTTPS if files are given. The listener's unexpected end is only warned about. */
async function listenPrometheus(
  { host, port, tls }: PrometheusConfig,
  registry: Registry,
  logger: Logger,
): Promise<{ address: AddressInfo } & AsyncDisposable> {
  const answer: RequestListener = (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end()
      return
    }
    registry.metrics().then(
      text => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      (error: unknown) => {
        logger.warn('Metrics could not be collected', { error })
        response.writeHead(500).end()
      },
    )
  }
  const limits = { headersTimeout: 10_000, requestTimeout: 30_000, maxHeaderSize: 16 * 1024, keepAliveTimeout: 60_000 }
  const server =
    tls === undefined
      ? createServer(limits, answer)
      : createTlsServer(
          {
            ...limits,
            cert: await readFile(tls.certFile),
            key: await readFile(tls.keyFile),
            ...(tls.clientCaFile === undefined
              ? {}
              : { ca: await readFile(tls.clientCaFile), requestCert: true, rejectUnauthorized: true }),
            minVersion: 'TLSv1.2',
            // A resumed session would outlive the certificates that it was begun with.
            secureOptions: constants.SSL_OP_NO_TICKET,
          },
          answer,
        )
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', error => logger.warn('Prometheus exporter stopped unexpectedly', { error }))
  return {
    address: server.address() as AddressInfo,
    async [Symbol.asyncDispose]() {
      registry.clear()
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}
