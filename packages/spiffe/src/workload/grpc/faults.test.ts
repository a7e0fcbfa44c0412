import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type FakeCall, FakeWorkloadApi } from '../../testing/index.ts'
import { WorkloadApiClient, type WorkloadApiClientOptions } from '../client.ts'
import { WorkloadApiError } from '../workload-api-error.ts'
import { encodeFrame } from './frames.ts'
import { GrpcStatus, type GrpcStatusCode } from './status.ts'

async function failsWith(
  status: GrpcStatusCode,
  intercept: (call: FakeCall) => void,
  options: WorkloadApiClientOptions = {},
  message?: RegExp,
) {
  await using api = await FakeWorkloadApi.start({
    intercept: call => {
      intercept(call)
      return true
    },
  })
  await using client = new WorkloadApiClient({ address: api.address, timeoutMs: 5000, ...options })
  for (const call of [() => client.fetchX509Context(), () => client.fetchJwtSvid({ audience: 'a' })]) {
    await assert.rejects(call(), (error: unknown) => {
      assert.ok(error instanceof WorkloadApiError, String(error))
      assert.equal(error.status, status, error.message)
      if (message !== undefined) assert.match(error.message, message)
      return true
    })
  }
}

const headers = { ':status': 200, 'content-type': 'application/grpc' }

describe('faults of a gRPC server', () => {
  test('an answer of headers only carries its status and message', async () => {
    await failsWith(GrpcStatus.PERMISSION_DENIED, call => call.fail(7, 'no identity issued'), {}, /no identity issued/)
    await failsWith(GrpcStatus.INVALID_ARGUMENT, call => call.fail(3, 'bad'))
    await failsWith(GrpcStatus.UNKNOWN, call =>
      call.stream.respond({ ...headers, 'grpc-status': '99' }, { endStream: true }),
    )
  })

  test('an answer that is not gRPC gets the status that gRPC prescribes', async () => {
    const html = { 'content-type': 'text/html' }
    await failsWith(GrpcStatus.UNAVAILABLE, ({ stream }) => {
      stream.respond({ ':status': 503, ...html })
      stream.end('<html>')
    })
    await failsWith(GrpcStatus.UNIMPLEMENTED, ({ stream }) => stream.respond({ ':status': 404 }, { endStream: true }))
    await failsWith(GrpcStatus.UNKNOWN, ({ stream }) => {
      stream.respond({ ':status': 200, ...html })
      stream.end('<html>')
    })
    await failsWith(GrpcStatus.UNKNOWN, ({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc-web' })
      stream.end(encodeFrame(new Uint8Array()))
    })
  })

  test('a stream without a status at its end is not a success', async () => {
    await failsWith(GrpcStatus.UNKNOWN, ({ stream }) => {
      stream.respond(headers)
      stream.end()
    })
  })

  test('half messages are refused', async () => {
    await failsWith(GrpcStatus.INTERNAL, ({ stream, respond, write }) => {
      respond()
      write(Uint8Array.of(0, 0, 0, 1, 0, 1, 2, 3))
      stream.end()
    })
  })

  test('compressed messages are refused, announced or not', async () => {
    await failsWith(GrpcStatus.INTERNAL, ({ respond, write }) => {
      respond()
      write(Uint8Array.of(1, 0, 0, 0, 1, 0))
    })
    await failsWith(GrpcStatus.INTERNAL, ({ stream }) => {
      stream.respond({ ...headers, 'grpc-encoding': 'gzip' })
      stream.write(encodeFrame(new Uint8Array()))
    })
  })

  test('messages over the limit are refused by their announced length, and the limit can be set', async () => {
    const announce = (length: number) => (call: FakeCall) => {
      call.respond()
      const prefix = new Uint8Array(5)
      new DataView(prefix.buffer).setUint32(1, length)
      call.write(prefix)
    }
    await failsWith(GrpcStatus.RESOURCE_EXHAUSTED, announce(4 * 1024 * 1024 + 1))
    await failsWith(GrpcStatus.RESOURCE_EXHAUSTED, announce(0xffffffff))
    await failsWith(GrpcStatus.RESOURCE_EXHAUSTED, announce(1001), { maxMessageBytes: 1000 })
  })

  test('bytes that are no protobuf message are refused', async () => {
    await failsWith(GrpcStatus.INTERNAL, call => {
      call.respond()
      call.write(encodeFrame(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff)))
    })
  })

  test('resets get the status of their code', async () => {
    await failsWith(GrpcStatus.UNAVAILABLE, ({ stream }) => stream.close(7))
    await failsWith(GrpcStatus.RESOURCE_EXHAUSTED, ({ stream }) => stream.close(11))
    await failsWith(GrpcStatus.INTERNAL, call => {
      call.respond()
      call.stream.close(2)
    })
  })

  test('a cut connection is UNAVAILABLE, before the answer and within it', async () => {
    await failsWith(GrpcStatus.UNAVAILABLE, ({ stream }) => stream.session?.destroy())
    await failsWith(GrpcStatus.UNAVAILABLE, ({ stream, respond, write }) => {
      respond()
      write(Uint8Array.of(0, 0, 0, 0, 9, 1))
      setImmediate(() => stream.session?.destroy())
    })
  })

  test('a status that came before the connection broke is believed', async () => {
    await failsWith(GrpcStatus.PERMISSION_DENIED, call => {
      call.fail(GrpcStatus.PERMISSION_DENIED, 'x')
      call.stream.once('finish', () => call.stream.session?.close())
    })
  })

  test('silence ends at the deadline, which the server is told', async () => {
    let told: unknown
    await failsWith(
      GrpcStatus.DEADLINE_EXCEEDED,
      call => {
        told = call.headers['grpc-timeout']
      },
      { timeoutMs: 50 },
    )
    assert.equal(told, '50m')
  })

  test('GOAWAY: the call in flight ends well and the next one uses a new connection', async () => {
    await using api = await FakeWorkloadApi.start()
    await using client = new WorkloadApiClient({ address: api.address })
    api.intercept = call => {
      if (call.method === 'FetchJWTSVID') call.stream.session?.goaway()
      return false
    }
    for (let round = 0; round < 5; round++) await client.fetchJwtSvid({ audience: 'a' })
    api.intercept = undefined
    await client.fetchJwtSvid({ audience: 'a' })
    assert.ok(api.openConnections <= 2)
  })

  test('more than one answer to a unary call is refused, none too', async () => {
    await using api = await FakeWorkloadApi.start()
    await using client = new WorkloadApiClient({ address: api.address })
    for (const count of [0, 2]) {
      api.intercept = call => {
        call.respond()
        for (let sent = 0; sent < count; sent++) call.write(encodeFrame(new Uint8Array()))
        call.stream.end()
        return true
      }
      await assert.rejects(client.fetchJwtSvid({ audience: 'a' }), { status: GrpcStatus.INTERNAL })
    }
  })
})

describe('faults of a connection', () => {
  async function onRawServer(onSocket: (socket: Socket) => void, use: (address: string) => Promise<void>) {
    const folder = await mkdtemp(join(tmpdir(), 'plastron-'))
    const sockets = new Set<Socket>()
    const server: Server = createServer(socket => {
      sockets.add(socket)
      socket.on('error', () => {})
      onSocket(socket)
    })
    try {
      await new Promise<void>(resolve => server.listen(join(folder, 's'), () => resolve()))
      await use(`unix://${join(folder, 's')}`)
    } finally {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>(resolve => server.close(() => resolve()))
      await rm(folder, { recursive: true })
    }
  }

  test('nobody listens, no socket, no socket but a file: UNAVAILABLE', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plastron-'))
    await writeFile(join(folder, 'file'), '')
    for (const address of [`unix://${folder}/missing`, `unix://${folder}/file`, 'tcp://127.0.0.1:1']) {
      await using client = new WorkloadApiClient({ address, timeoutMs: 5000 })
      await assert.rejects(client.fetchX509Context(), {
        code: 'ERR_WORKLOAD_TRANSPORT',
        status: GrpcStatus.UNAVAILABLE,
      })
    }
    await rm(folder, { recursive: true })
  })

  test('a server that is not HTTP/2, or closes at once, or sends garbage: UNAVAILABLE or INTERNAL, never a crash', async () => {
    const behaviours: ((socket: Socket) => void)[] = [
      socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      socket => socket.destroy(),
      socket => socket.write(Buffer.alloc(100_000, 0xff)),
      // A SETTINGS frame and then a frame with a reserved stream, an unknown type and a lying length.
      socket => socket.write(Buffer.from('000000040000000000ffffff0700000000000000', 'hex')),
    ]
    for (const behaviour of behaviours) {
      await onRawServer(behaviour, async address => {
        await using client = new WorkloadApiClient({ address, timeoutMs: 3000 })
        await assert.rejects(client.fetchX509Context(), (error: unknown) => error instanceof WorkloadApiError)
      })
    }
  })

  test('a server that accepts and stays silent ends at the deadline', async () => {
    await onRawServer(
      () => {},
      async address => {
        await using client = new WorkloadApiClient({ address, timeoutMs: 100 })
        await assert.rejects(client.fetchX509Context(), { status: GrpcStatus.DEADLINE_EXCEEDED })
      },
    )
  })

  test('an aborted call rejects with the reason and cancels the stream', async () => {
    await using api = await FakeWorkloadApi.start({ intercept: () => true })
    await using client = new WorkloadApiClient({ address: api.address })
    const controller = new AbortController()
    const call = client.fetchX509Context({ signal: controller.signal })
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason), 20)
    await assert.rejects(call, (error: unknown) => error === reason)
    await assert.rejects(client.fetchX509Context({ signal: controller.signal }), (error: unknown) => error === reason)
  })

  test('a client works over tcp as over unix', async () => {
    await using api = await FakeWorkloadApi.start()
    // A byte pump in front of the socket stands for the network.
    const sockets = new Set<Socket>()
    const pump = createServer(outside => {
      const inside = connect(api.address.slice('unix://'.length))
      for (const socket of [outside, inside]) {
        sockets.add(socket)
        socket.on('error', () => {})
      }
      outside.pipe(inside).pipe(outside)
    })
    const port = await new Promise<number>(resolve =>
      pump.listen(0, '127.0.0.1', () => {
        const address = pump.address()
        resolve(typeof address === 'object' ? (address?.port ?? 0) : 0)
      }),
    )
    {
      await using client = new WorkloadApiClient({ address: `tcp://127.0.0.1:${port}` })
      assert.equal((await client.fetchX509Svid()).id.path, '/workload')
    }
    for (const socket of sockets) socket.destroy()
    await new Promise<void>(resolve => pump.close(() => resolve()))
  })
})
