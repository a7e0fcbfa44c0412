// What a small unary call costs the server's process: over node:http2 alone, over our GrpcServer with its messages decoded and encoded, and over
// @grpc/grpc-js with raw bytes. Run: node bench/grpc-overhead.ts
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { entryV1 } from '@plastron/api'
import { GrpcServer, type UnixPeer } from '@plastron/runtime'

const PATH = '/spire.api.server.entry.v1.Entry/CountEntries'
const ANSWER = Buffer.of(0, 0, 0, 0, 2, 8, 5)
const CALLS = 20_000
const AT_ONCE = 16
const ROUNDS = 4

/** Each takes connections and answers every call with the same two bytes. */
const servers = {
  'node:http2': (): ((socket: Socket) => void) => {
    const server = createHttp2Server()
    server.on('stream', stream => {
      stream.on('data', () => undefined)
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(ANSWER)
      })
    })
    return socket => server.emit('connection', socket)
  },
  GrpcServer: (): ((socket: Socket) => void) => {
    const server = new GrpcServer().add(entryV1.Entry, { countEntries: async () => ({ count: 5 }) })
    return socket => server.accept(socket, { kind: 'unix' } as UnixPeer)
  },
  'grpc-js': (): ((socket: Socket) => void) => {
    const server = new Server()
    const bytes = (value: Buffer) => value
    const count = {
      path: PATH,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    }
    server.addService(
      { count },
      { count: (_call: unknown, reply: (error: null, value: Buffer) => void) => reply(null, ANSWER.subarray(5)) },
    )
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    return socket => injector.injectConnection(socket)
  },
} as const

const [, , role, socketPath] = process.argv
if (role !== undefined && socketPath !== undefined) {
  const accept = servers[role as keyof typeof servers]()
  createServer(accept).listen(socketPath, () => process.send?.('listening'))
  let before = process.cpuUsage()
  process.on('message', () => {
    const { user, system } = process.cpuUsage(before)
    before = process.cpuUsage()
    process.send?.((user + system) / CALLS)
  })
} else {
  await compare()
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'plastron-bench-'))
  const costs = new Map<string, number[]>()
  for (const name of Object.keys(servers)) {
    const path = join(folder, `${costs.size}.sock`)
    const server = fork(fileURLToPath(import.meta.url), [name, path])
    await once(server, 'message')
    const rounds: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      await callMany(path)
      server.send('cost')
      const [cost] = (await once(server, 'message')) as [number]
      // The first round warms up.
      if (round > 0) rounds.push(cost)
    }
    costs.set(name, rounds)
    server.kill()
    await once(server, 'exit')
  }
  rmSync(folder, { recursive: true })
  for (const [name, rounds] of costs) {
    const median = rounds.toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? Number.NaN
    process.stdout.write(`${name.padEnd(12)} ${median.toFixed(1)} µs CPU a call\n`)
  }
}

async function callMany(path: string): Promise<void> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(path) })
  const headers = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' }
  let left = CALLS
  const caller = async () => {
    while (left-- > 0) {
      const stream = session.request(headers)
      stream.resume()
      stream.end(Buffer.alloc(5))
      await once(stream, 'end')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, caller))
  session.close()
}
