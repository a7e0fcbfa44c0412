import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { CertificateRequest, PrivateKey } from '@plastron/pki'
import { tempFolder } from '@plastron/runtime/testing'
import { FakeWorkloadApi, TestAuthority } from '@plastron/spiffe/testing'
import type { BootstrapConfig } from '../../config/agent-config.ts'
import { agentRequest, attestAgent } from './attest-agent.ts'
import { bootstrapBundle } from './bootstrap-bundle.ts'

const { signal } = new AbortController()
const attempt = {
  mode: 'rebootstrap',
  connectionAttempts: 3,
  startedAt: new Date('2026-01-01T00:00:00Z'),
  serverAddress: 'server.example.org',
  serverPort: 8081,
} as const

async function house() {
  const folder = await tempFolder()
  const authority = await TestAuthority.create()
  return {
    authority,
    path: (name: string) => join(folder.path, name),
    fetch: (source: BootstrapConfig) => bootstrapBundle(source, authority.trustDomain, attempt, signal),
    /** An HTTP server on a Unix socket. */
    async serve(answer: RequestListener) {
      const socketPath = join(folder.path, 'http.sock')
      const server = createServer(answer)
      await new Promise<void>(resolve => server.listen(socketPath, resolve))
      return {
        socketPath,
        async [Symbol.asyncDispose]() {
          server.closeAllConnections()
          await new Promise(resolve => server.close(resolve))
        },
      }
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

const refused = (message: RegExp) => ({ code: 'ERR_AGENT_BOOTSTRAP', message })

describe('the first bundle', () => {
  test('AGT-CFG-032 AGT-CFG-036 comes from a file, as PEM or as a SPIFFE bundle', async () => {
    await using h = await house()
    const path = h.path('bundle')
    await writeFile(path, h.authority.bundle().x509Bundle.toPem())
    assert.ok((await h.fetch({ kind: 'file', path, format: 'pem' }))?.x509Bundle.hasX509Authority(h.authority.root))
    await writeFile(path, h.authority.bundle().marshal())
    assert.ok((await h.fetch({ kind: 'file', path, format: 'spiffe' }))?.equals(h.authority.bundle()))
  })

  test('AGT-CFG-019 insecure bootstrap has none', async () => {
    await using h = await house()
    assert.equal(await h.fetch({ kind: 'insecure' }), undefined)
  })

  test('a file that is absent, empty, garbage, a folder or without authorities is named', async () => {
    await using h = await house()
    const path = h.path('bundle')
    await assert.rejects(h.fetch({ kind: 'file', path, format: 'pem' }), refused(/bundle cannot be used: .*ENOENT/))
    await assert.rejects(h.fetch({ kind: 'file', path: h.path('.'), format: 'pem' }), refused(/not a regular file/))
    for (const [content, format] of [
      ['', 'pem'],
      ['garbage', 'pem'],
      ['{"keys":[]}', 'spiffe'],
      ['{', 'spiffe'],
    ] as const) {
      await writeFile(path, content)
      await assert.rejects(h.fetch({ kind: 'file', path, format }), refused(/cannot be used/))
    }
  })

  test('AGT-BOOT-008 AGT-CFG-034 comes from an URL over a Unix socket, which is told about the attempt', async () => {
    await using h = await house()
    let asked = new URL('http://x')
    await using server = await h.serve((request, response) => {
      asked = new URL(`http://${request.headers.host}${request.url}`)
      response.end(h.authority.bundle().x509Bundle.toPem())
    })
    const url = 'http://bundles.example.org/bundle?region=a'
    const bundle = await h.fetch({ kind: 'unix-url', url, socketPath: server.socketPath, format: 'pem' })
    assert.ok(bundle?.x509Bundle.hasX509Authority(h.authority.root))
    assert.equal(asked.host, 'bundles.example.org')
    assert.equal(asked.pathname, '/bundle')
    assert.deepEqual(Object.fromEntries(asked.searchParams), {
      region: 'a',
      'spire-attest-mode': 'rebootstrap',
      'spire-connection-attempts': '3',
      'spire-attest-start-time': '2026-01-01T00:00:00.000Z',
      'spire-server-address': 'server.example.org',
      'spire-server-port': '8081',
      'spiffe-trust-domain': 'example.org',
    })
  })

  test('AGT-CFG-033 an answer other than 200, a redirection or one without end is refused', async () => {
    await using h = await house()
    let requests = 0
    await using server = await h.serve((request, response) => {
      requests += 1
      if (request.url?.startsWith('/redirect')) response.writeHead(302, { location: 'http://x/bundle' }).end()
      else if (request.url?.startsWith('/missing')) response.writeHead(404).end()
      else {
        const more = () => {
          while (response.write(Buffer.alloc(65_536)));
          response.once('drain', more)
        }
        more()
      }
    })
    const fetch = (path: string) =>
      h.fetch({ kind: 'unix-url', url: `http://x/${path}`, socketPath: server.socketPath, format: 'pem' })
    await assert.rejects(fetch('redirect'), refused(/status 302/))
    await assert.rejects(fetch('missing'), refused(/status 404/))
    assert.equal(requests, 2)
    await assert.rejects(fetch('endless'), refused(/more than 4194304 bytes/))
    await assert.rejects(
      h.fetch({ kind: 'url', url: 'https://127.0.0.1:1/bundle', format: 'pem' }),
      refused(/ECONNREFUSED/),
    )
  })

  test('AGT-BOOT-007 AGT-CFG-035 comes from another Workload API, which must know the own trust domain', async () => {
    await using h = await house()
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using good = await FakeWorkloadApi.start({ authority: other, federated: [h.authority.bundle()] })
    const bundle = await h.fetch({ kind: 'workload-api', address: good.address })
    assert.ok(bundle?.x509Bundle.hasX509Authority(h.authority.root))
    await using foreign = await FakeWorkloadApi.start({ authority: other })
    await assert.rejects(
      h.fetch({ kind: 'workload-api', address: foreign.address }),
      refused(/no bundle of example\.org/),
    )
  })
})

describe('the attestation stream', () => {
  test('AGT-BOOT-011 the request names nobody: only its key counts', async () => {
    const request = CertificateRequest.parse(await agentRequest(await PrivateKey.generate('ec-p256')))
    assert.deepEqual([request.uris, request.dnsNames], [[], []])
    assert.equal(await request.verifySignature(), true)
  })

  test('AGT-BOOT-018 an attestor with nothing to say is refused before anything is sent; so is an empty answer', async () => {
    const authority = await TestAuthority.create()
    const key = await PrivateKey.generate('ec-p256')
    const exchange = { type: 'x', payload: Buffer.from('p'), answer: async () => new Uint8Array() }
    const challenging = {
      async *attestAgent() {
        yield { step: { case: 'challenge', value: Buffer.from('c') } }
      },
    } as unknown as Parameters<typeof attestAgent>[0]
    const attest = (payload: Uint8Array) =>
      attestAgent(challenging, { ...exchange, payload }, key, authority.trustDomain, signal)
    await assert.rejects(attest(new Uint8Array()), { message: /gave an empty payload/ })
    await assert.rejects(attest(exchange.payload), { message: /gave an empty answer/ })
    const nothing = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) }
    const silent = { attestAgent: () => nothing } as unknown as Parameters<typeof attestAgent>[0]
    await assert.rejects(attestAgent(silent, exchange, key, authority.trustDomain, signal), {
      code: 'ERR_AGENT_SERVER_REPLY',
    })
  })
})
