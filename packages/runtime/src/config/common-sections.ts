import { z } from 'zod'
import { flag, notBuilt, optionalPort, text, textOr, texts } from './keys.ts'
import type { HealthListenerConfig, TelemetryConfig } from './program-config.ts'
import type { ConfigReader } from './section-reader.ts'

/** `health_checks { … }`, the same in every daemon. */
export const healthChecksSchema = z.strictObject({
  listener_enabled: flag(false, 'Whether health checks are served over HTTP.'),
  bind_address: textOr('localhost', 'Host name or address that the listener is bound to.'),
  bind_port: textOr('80', 'Port of the listener.').check(context => {
    const { value } = context
    if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535)
      context.issues.push({ code: 'custom', input: value, message: `${JSON.stringify(value)} is not a port` })
  }),
  live_path: textOr('/live', 'Path that answers whether the process works.').check(pathCheck),
  ready_path: textOr('/ready', 'Path that answers whether what the process depends on works.').check(pathCheck),
})

function pathCheck(context: z.core.ParsePayload<string>): void {
  if (!context.value.startsWith('/'))
    context.issues.push({ code: 'custom', input: context.value, message: 'a path begins with /' })
}

/** The listener that `health_checks` asks for; none unless it is enabled. */
export function healthListener(
  section: z.output<typeof healthChecksSchema>,
  reader: ConfigReader,
): HealthListenerConfig | undefined {
  reader.check(
    section.live_path === section.ready_path,
    'health_checks.ready_path',
    'health_checks.ready_path and live_path must differ',
    ['health_checks.live_path'],
  )
  if (!section.listener_enabled) return undefined
  return {
    bindAddress: withoutBrackets(section.bind_address),
    bindPort: Number(section.bind_port),
    livePath: section.live_path,
    readyPath: section.ready_path,
  }
}

const prometheusTlsSchema = z.strictObject({
  cert_file: text('PEM file of the certificate chain.'),
  key_file: text('PEM file of the private key.'),
  client_ca_file: text('PEM file of authorities; client certificates are then required.'),
  use_spire_svid: notBuilt(flag(false, 'Serve with the program’s own SVID.')),
  authorized_spiffe_ids: notBuilt(texts('SPIFFE IDs of the clients that are let in.')),
})

const prometheusSchema = z.strictObject({
  host: textOr('localhost', 'Host name or address that the listener is bound to.'),
  port: optionalPort('Port of the listener.'),
  tls: prometheusTlsSchema.optional(),
})

const addressed = z.strictObject({ address: text('host:port of the collector.', 'required') })

/** `telemetry { … }`; `prefix` is the program's own. */
export function telemetrySchema(prefix: string) {
  return z.strictObject({
    Prometheus: prometheusSchema.optional(),
    DogStatsd: notBuilt(z.array(addressed).default([])),
    Statsd: notBuilt(z.array(addressed).default([])),
    M3: notBuilt(
      z
        .array(
          z.strictObject({
            address: text('host:port of the collector.', 'required'),
            env: text('Environment name.', 'required'),
          }),
        )
        .default([]),
    ),
    InMem: notBuilt(z.strictObject({}).optional()),
    MetricPrefix: textOr(prefix, 'First part of every name.'),
    EnableTrustDomainLabel: flag(false, 'Adds the label trust_domain to everything.'),
    EnableHostnameLabel: flag(true, 'Adds the label host to everything.'),
    AllowedPrefixes: texts(
      'Names that begin with one of these, parts joined by dots, are let through even if a shorter blocked prefix fits.',
    ),
    BlockedPrefixes: texts('Names that begin with one of these are dropped.'),
    AllowedLabels: texts('Only these labels; empty: all.'),
    BlockedLabels: texts('None of these labels.'),
  })
}

/** What `telemetry` asks for, its files as absolute paths. */
export function telemetryConfig(
  section: z.output<ReturnType<typeof telemetrySchema>>,
  reader: ConfigReader,
  absolute: (path: string) => string,
): TelemetryConfig {
  return {
    prometheus: prometheusConfig(section.Prometheus, reader, absolute),
    metricPrefix: section.MetricPrefix,
    trustDomainLabel: section.EnableTrustDomainLabel,
    hostnameLabel: section.EnableHostnameLabel,
    allowedPrefixes: section.AllowedPrefixes,
    blockedPrefixes: section.BlockedPrefixes,
    allowedLabels: section.AllowedLabels,
    blockedLabels: section.BlockedLabels,
  }
}

function prometheusConfig(
  section: z.output<typeof prometheusSchema> | undefined,
  reader: ConfigReader,
  absolute: (path: string) => string,
): TelemetryConfig['prometheus'] {
  if (section === undefined) return undefined
  const path = 'telemetry.Prometheus'
  reader.check(section.port === undefined, `${path}.port`, `${path}.port must be set`)
  const common = { host: withoutBrackets(section.host), port: section.port ?? 0 }
  const { tls } = section
  if (tls === undefined) {
    if (section.host !== 'localhost')
      reader.notice(
        'warn',
        `${path}: anybody who reaches ${section.host} can read the metrics: the listener has no TLS`,
      )
    return common
  }
  const files = [`${path}.tls.cert_file`, `${path}.tls.key_file`]
  const complete = tls.cert_file !== undefined && tls.key_file !== undefined
  const asksForSvid = tls.use_spire_svid || tls.authorized_spiffe_ids.length > 0
  reader.check(!complete && !asksForSvid, `${path}.tls`, `${path}.tls needs cert_file and key_file`, files)
  if (tls.cert_file === undefined || tls.key_file === undefined) return common
  return {
    ...common,
    tls: {
      certFile: absolute(tls.cert_file),
      keyFile: absolute(tls.key_file),
      clientCaFile: tls.client_ca_file === undefined ? undefined : absolute(tls.client_ca_file),
    },
  }
}

/** `[::1]` is `::1`. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[+|\]+$/g, '')
}
