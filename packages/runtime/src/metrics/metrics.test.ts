import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { TelemetryConfig } from '../config/program-config.ts'
import { silentLogger } from '../logging/logger.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { recordingLogger } from '../testing/recording-logger.ts'
import { recordingMetrics } from '../testing/recording-metrics.ts'
import { noMetrics } from './metrics.ts'
import { sanitizeLabel } from './sanitize.ts'
import { openTelemetry, TelemetryError } from './telemetry.ts'
import { measureUptime } from './uptime.ts'

const config: TelemetryConfig = {
  prometheus: { host: '127.0.0.1', port: 0 },
  metricPrefix: 'spire_server',
  trustDomainLabel: false,
  hostnameLabel: false,
  allowedPrefixes: [],
  blockedPrefixes: [],
  allowedLabels: [],
  blockedLabels: [],
}

async function open(t: TestContext, changes: Partial<TelemetryConfig> = {}, clock = new FakeClock()) {
  const telemetry = await openTelemetry(
    { ...config, ...changes },
    { trustDomain: 'example.org', logger: silentLogger, clock },
  )
  t.after(() => telemetry[Symbol.asyncDispose]())
  const scrape = async (path = '/metrics') => (await fetch(`http://127.0.0.1:${telemetry.address?.port}${path}`)).text()
  return { ...telemetry, clock, scrape }
}

function sample(text: string, name: string): string[] {
  return text.split('\n').filter(line => line.startsWith(name) && !line.startsWith('#'))
}

describe('Prometheus', () => {
  test('SRV-TEL-002 SRV-TEL-004 names are joined by _, a call is a counter and a summary of milliseconds with its status', async t => {
    const clock = new FakeClock()
    const { metrics, scrape } = await open(t, {}, clock)
    const call = metrics.startCall(['rpc', 'entry', 'v1', 'entry', 'batch_create_entry'], { caller: 'x' })
    await clock.advance(25)
    call.addLabel('attestor', 'join_token')
    call.end('OK')
    call.end('Internal')
    const text = await scrape()
    const name = 'spire_server_rpc_entry_v1_entry_batch_create_entry'
    const labels = 'caller="x",attestor="join_token",status="OK"'
    assert.deepEqual(sample(text, `${name}{`), [`${name}{${labels}} 1`])
    assert.deepEqual(sample(text, `${name}_elapsed_time_sum`), [`${name}_elapsed_time_sum{${labels}} 25`])
    assert.deepEqual(sample(text, `${name}_elapsed_time_count`), [`${name}_elapsed_time_count{${labels}} 1`])
    assert.match(text, /^process_cpu_seconds_total /m)
    assert.match(text, /^nodejs_/m)
  })

  test('counters add up, gauges are set, samples are counted', async t => {
    const { metrics, scrape } = await open(t)
    metrics.incrementCounter(['a', 'b'])
    metrics.incrementCounter(['a', 'b'], {}, 4)
    metrics.setGauge(['g'], 3, { x: 'y' })
    metrics.setGauge(['g'], 2, { x: 'y' })
    metrics.addSample(['s'], 10)
    const text = await scrape()
    assert.deepEqual(sample(text, 'spire_server_a_b'), ['spire_server_a_b 5'])
    assert.deepEqual(sample(text, 'spire_server_g'), ['spire_server_g{x="y"} 2'])
    assert.deepEqual(sample(text, 'spire_server_s_count'), ['spire_server_s_count 1'])
  })

  test('SRV-TEL-003 AGT-TEL-027 labels are cleaned', async t => {
    assert.equal(sanitizeLabel('spiffe://a.b/c'), 'spiffe_a_b_c')
    assert.equal(sanitizeLabel('1.15.3'), '1_15_3')
    assert.equal(sanitizeLabel('a._b'), 'a_b')
    const { metrics, scrape } = await open(t)
    metrics.setGauge(['started'], 1, { 'ver-sion': '1.2"\n3' })
    assert.deepEqual(sample(await scrape(), 'spire_server_started'), ['spire_server_started{ver_sion="1_2_3"} 1'])
  })

  test('SRV-CFG-120 SRV-CFG-121 SRV-CFG-119 host, trust domain and prefix', async t => {
    const { metrics, scrape } = await open(t, {
      hostnameLabel: true,
      trustDomainLabel: true,
      metricPrefix: 'my-prefix',
    })
    metrics.incrementCounter(['x'])
    assert.match(
      sample(await scrape(), 'my_prefix_x')[0] ?? '',
      /^my_prefix_x\{host="\w+",trust_domain="example_org"\} 1$/,
    )
  })

  test('SRV-CFG-122 of the prefixes that fit the longest decides; labels are filtered', async t => {
    const { metrics, scrape } = await open(t, {
      blockedPrefixes: ['spire_server.rpc'],
      allowedPrefixes: ['spire_server.rpc.entry'],
      blockedLabels: ['secret'],
      allowedLabels: ['status', 'secret'],
    })
    metrics.incrementCounter(['rpc', 'agent'])
    metrics.incrementCounter(['rpc', 'entry'], { status: 'OK', secret: 'x', other: 'y' })
    metrics.incrementCounter(['ca'])
    const names = sample(await scrape(), 'spire_server_')
    assert.deepEqual(names, ['spire_server_rpc_entry{status="OK"} 1', 'spire_server_ca 1'])
  })

  test('SRV-CFG-110 is served at any path, to GET and HEAD alone', async t => {
    const { address, scrape, metrics } = await open(t)
    metrics.incrementCounter(['x'])
    assert.match(await scrape('/'), /spire_server_x 1/)
    assert.match(await scrape('/any/where'), /spire_server_x 1/)
    const url = `http://127.0.0.1:${address?.port}/`
    assert.equal((await fetch(url, { method: 'POST', body: 'x' })).status, 405)
    assert.equal((await fetch(url, { method: 'HEAD' })).status, 200)
  })

  test('a flood of labels, a name of two kinds, labels that change: nothing throws and memory is bounded', async t => {
    const { metrics, scrape } = await open(t)
    for (let index = 0; index < 5000; index += 1) metrics.incrementCounter(['flood'], { id: String(index) })
    metrics.setGauge(['flood'], 1)
    metrics.incrementCounter(['wide'], { a: '1' })
    metrics.incrementCounter(['wide'], { b: '1' })
    metrics.incrementCounter(['9 odd{}', 'näme'])
    const text = await scrape()
    assert.equal(sample(text, 'spire_server_flood').length, 2000)
    assert.deepEqual(sample(text, 'spire_server_wide'), ['spire_server_wide{b="1"} 1'])
    assert.deepEqual(sample(text, 'spire_server_9'), ['spire_server_9_odd___n_me 1'])
  })

  test('bytes that are not HTTP get an error, not a crash', async t => {
    const { address, scrape } = await open(t)
    for (const bytes of ['\0\x01\x02\r\n\r\n', 'GET\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`]) {
      await new Promise<void>(resolve => {
        const socket = connect(address?.port ?? 0, '127.0.0.1', () => socket.write(bytes))
        socket
          .on('error', () => undefined)
          .on('close', () => resolve())
          .resume()
      })
    }
    assert.match(await scrape(), /process_/)
  })

  test('a port that is taken is an error that names it', async t => {
    const { address } = await open(t)
    await assert.rejects(
      openTelemetry(
        { ...config, prometheus: { host: '127.0.0.1', port: address?.port ?? 0 } },
        { trustDomain: 'x', logger: silentLogger, clock: new FakeClock() },
      ),
      (error: unknown) => error instanceof TelemetryError && error.message.includes(`127.0.0.1:${address?.port}: `),
    )
  })

  test('SRV-CFG-111 SRV-CFG-112 AGT-CFG-082 over TLS, with client certificates if authorities are given', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'plastron-metrics-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const make = (name: string) => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)]
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-days',
          '1',
          '-subj',
          `/CN=${name}`,
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          key,
          '-out',
          cert,
        ],
        { stdio: 'ignore' },
      )
      return { key, cert }
    }
    const server = make('server')
    const client = make('client')
    const tls = { certFile: server.cert, keyFile: server.key }
    const fetchTls = (
      port: number | undefined,
      identity: { key: string; cert: string } | undefined,
      maxVersion?: 'TLSv1.1',
    ) =>
      new Promise<number | string>(resolve => {
        const options = {
          host: '127.0.0.1',
          port,
          ca: readFileSync(server.cert),
          agent: false as const,
          ...(maxVersion ? { maxVersion, minVersion: maxVersion } : {}),
          ...(identity ? { key: readFileSync(identity.key), cert: readFileSync(identity.cert) } : {}),
        }
        request(options, response => response.resume().on('end', () => resolve(response.statusCode ?? 0)))
          .on('error', error => resolve(error.message))
          .end()
      })
    const open1 = await open(t, { prometheus: { host: '127.0.0.1', port: 0, tls } })
    assert.equal(await fetchTls(open1.address?.port, undefined), 200)
    assert.equal(typeof (await fetchTls(open1.address?.port, undefined, 'TLSv1.1')), 'string')
    const open2 = await open(t, {
      prometheus: { host: '127.0.0.1', port: 0, tls: { ...tls, clientCaFile: client.cert } },
    })
    assert.equal(await fetchTls(open2.address?.port, client), 200)
    assert.equal(typeof (await fetchTls(open2.address?.port, undefined)), 'string')
    assert.equal(typeof (await fetchTls(open2.address?.port, server)), 'string')
    await assert.rejects(
      open(t, { prometheus: { host: '127.0.0.1', port: 0, tls: { ...tls, keyFile: '/none' } } }),
      /ENOENT/,
    )
  })
})

test('without telemetry nothing is measured and nothing is loaded', async () => {
  const logger = recordingLogger()
  await using telemetry = await openTelemetry(
    { ...config, prometheus: undefined },
    { trustDomain: 'x', logger, clock: new FakeClock() },
  )
  assert.equal(telemetry.metrics, noMetrics)
  telemetry.metrics.startCall(['x']).end('OK')
  assert.equal(telemetry.address, undefined)
})

test('SRV-TEL-051 SRV-TEL-052 AGT-TEL-023 AGT-TEL-024 started once, uptime every 10 s', async () => {
  const clock = new FakeClock()
  const metrics = recordingMetrics()
  const controller = new AbortController()
  const running = measureUptime(metrics, clock, { version: '1.0.0', trustDomain: 'example.org' }, controller.signal)
  await clock.untilSleeping()
  await clock.advance(25_000)
  controller.abort()
  await running
  assert.deepEqual(metrics.measurements, [
    { kind: 'gauge', key: 'started', value: 1, labels: { version: '1.0.0', trust_domain_id: 'example.org' } },
    { kind: 'gauge', key: 'uptime_in_ms', value: 10_000, labels: {} },
    { kind: 'gauge', key: 'uptime_in_ms', value: 20_000, labels: {} },
  ])
})

test('metrics for tests remember', () => {
  const metrics = recordingMetrics()
  metrics.incrementCounter(['a', 'b'], { x: 'y' })
  const call = metrics.startCall(['c'])
  call.addLabel('d', 'e')
  call.end('OK')
  call.end('OK')
  assert.deepEqual(metrics.measurements, [
    { kind: 'counter', key: 'a.b', value: 1, labels: { x: 'y' } },
    { kind: 'counter', key: 'c', value: 1, labels: { d: 'e', status: 'OK' } },
  ])
})
