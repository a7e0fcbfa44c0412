import { mkdtemp, rm } from 'node:fs/promises'
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { workload } from '@plastron/api'
import { encodeFrame, FrameReader } from '../workload/grpc/frames.ts'
import { encodeGrpcMessage, GrpcStatus, type GrpcStatusCode } from '../workload/grpc/status.ts'
import { FakeIdentities, type FakeIdentitiesOptions } from './fake-identities.ts'

/** A call that arrived. */
export interface FakeCall {
  /** The method's name, such as `FetchX509SVID`. */
  readonly method: string
  /** The request's headers. */
  readonly headers: IncomingHttpHeaders
  /** The call's HTTP/2 stream; it is the server's to end. */
  readonly stream: ServerHttp2Stream
  /** Ends the call with a status and no message. */
  readonly fail: (status: GrpcStatusCode, message: string) => void
  /** Begins a good answer. */
  readonly respond: () => void
  /** Sends raw bytes as they are, for faults. */
  readonly write: (bytes: Uint8Array) => void
}

/** What a {@link FakeWorkloadApi} is made of. */
export interface FakeWorkloadApiOptions extends FakeIdentitiesOptions {
  /** Path of the socket. Default: one in a folder of its own, removed at the end. */
  readonly socketPath?: string | undefined
  /** Sees each call first; true says that it took care of it. */
  readonly intercept?: ((call: FakeCall) => boolean) | undefined
}

interface OpenStream {
  readonly call: FakeCall
  send(): Promise<void>
}

/**
 * A Workload API for tests: the real protocol on a real socket, with identities of a `TestAuthority`. Each update goes to
 * every open stream, as an agent does it.
 */
export class FakeWorkloadApi implements AsyncDisposable {
  /** For `SPIFFE_ENDPOINT_SOCKET`: `unix://…`. */
  readonly address: string
  /** What is given out. To change it and tell open streams, use `update()`. */
  readonly identities: FakeIdentities
  /** Every call so far, in order. */
  readonly calls: { readonly method: string; readonly headers: IncomingHttpHeaders }[] = []
  /** Answers every call with this status while it is set. */
  failing: { readonly status: GrpcStatusCode; readonly message: string } | undefined
  /** Sees each call first; true says that it took care of it. */
  intercept: ((call: FakeCall) => boolean) | undefined
  readonly #server: Http2Server
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #streams = new Set<OpenStream>()
  readonly #folder: string | undefined

  private constructor(
    server: Http2Server,
    socketPath: string,
    folder: string | undefined,
    options: FakeWorkloadApiOptions,
  ) {
    this.#server = server
    this.#folder = folder
    this.address = `unix://${socketPath}`
    this.identities = new FakeIdentities(options)
    this.intercept = options.intercept
    server.on('session', session => {
      this.#sessions.add(session)
      session.on('error', () => {})
      session.once('close', () => this.#sessions.delete(session))
    })
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {})
      this.#serve(stream, headers).catch(() => stream.destroy())
    })
  }

  /** Starts listening. */
  static async start(options: FakeWorkloadApiOptions = {}): Promise<FakeWorkloadApi> {
    const folder = options.socketPath === undefined ? await mkdtemp(join(tmpdir(), 'plastron-')) : undefined
    const socketPath = options.socketPath ?? join(folder ?? '', 'api.sock')
    // Each fetch ends by a reset of its stream, so the default guard against many of them would cut busy tests off.
    const server = createServer({ streamResetBurst: 1_000_000, streamResetRate: 1_000_000 })
    const fake = new FakeWorkloadApi(server, socketPath, folder, options)
    await fake.identities.ready()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(socketPath, () => {
        server.off('error', reject)
        resolve()
      })
    })
    return fake
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#streams.size
  }

  /** Connections that are open now. */
  get openConnections(): number {
    return this.#sessions.size
  }

  /** Changes identities and sends them to every open stream. */
  async update(options: FakeIdentitiesOptions): Promise<void> {
    await this.identities.change(options)
    await this.push()
  }

  /** Sends the current state to every open stream. */
  async push(): Promise<void> {
    await Promise.all([...this.#streams].map(stream => stream.send()))
  }

  /** Ends every open stream with a status. */
  endStreams(status: GrpcStatusCode, message = ''): void {
    for (const { call } of this.#streams) endWithStatus(call.stream, status, message)
  }

  /** Resets every open stream. */
  resetStreams(code: number = constants.NGHTTP2_INTERNAL_ERROR): void {
    for (const { call } of this.#streams) call.stream.close(code)
  }

  /** Says goodbye on every connection; open streams stay. */
  goAway(): void {
    for (const session of this.#sessions) session.goaway()
  }

  /** Cuts every connection. */
  cutConnections(): void {
    for (const session of this.#sessions) session.destroy()
  }

  /** Sends raw bytes on every open stream. */
  writeToStreams(bytes: Uint8Array): void {
    for (const { call } of this.#streams) call.write(bytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutConnections()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const [, service, method = ''] = String(headers[':path']).split('/')
    const call = callOf(stream, method, headers)
    this.calls.push({ method, headers })
    if (this.intercept?.(call)) return
    if (this.failing !== undefined) return call.fail(this.failing.status, this.failing.message)
    if (headers['workload.spiffe.io'] !== 'true') {
      return call.fail(GrpcStatus.INVALID_ARGUMENT, 'security header missing from request')
    }
    if (service !== workload.SpiffeWorkloadAPI.typeName) return call.fail(GrpcStatus.UNIMPLEMENTED, 'unknown service')
    await this.#answer(call)
  }

  async #answer(call: FakeCall): Promise<void> {
    const { identities } = this
    const { method } = workload.SpiffeWorkloadAPI
    const ask = <I extends DescMessage>(input: I) => readRequest(call.stream, input)
    switch (call.method) {
      case 'FetchX509SVID':
        await ask(method.fetchX509SVID.input)
        return await this.#stream(call, method.fetchX509SVID.output, () => identities.x509Response())
      case 'FetchX509Bundles':
        await ask(method.fetchX509Bundles.input)
        return await this.#stream(call, method.fetchX509Bundles.output, () => identities.x509Bundles())
      case 'FetchJWTBundles':
        await ask(method.fetchJWTBundles.input)
        return await this.#stream(call, method.fetchJWTBundles.output, () => identities.jwtBundles())
      case 'FetchWITBundles':
        await ask(method.fetchWITBundles.input)
        return await this.#stream(call, method.fetchWITBundles.output, () => identities.witBundles())
      case 'FetchWITSVID': {
        const { spiffeId } = await ask(method.fetchWITSVID.input)
        return await this.#stream(call, method.fetchWITSVID.output, () => identities.witResponse(spiffeId))
      }
      case 'FetchJWTSVID': {
        const request = await ask(method.fetchJWTSVID.input)
        if (request.audience.length === 0) return call.fail(GrpcStatus.INVALID_ARGUMENT, 'audience must be specified')
        return sendOnce(
          call,
          method.fetchJWTSVID.output,
          await identities.jwtResponse(request.audience, request.spiffeId),
        )
      }
      case 'ValidateJWTSVID': {
        const request = await ask(method.validateJWTSVID.input)
        try {
          return sendOnce(
            call,
            method.validateJWTSVID.output,
            await identities.validate(request.svid, request.audience),
          )
        } catch (error) {
          return call.fail(GrpcStatus.INVALID_ARGUMENT, error instanceof Error ? error.message : String(error))
        }
      }
      default:
        call.fail(GrpcStatus.UNIMPLEMENTED, 'unknown method')
    }
  }

  /** Sends the state now and at each push, until the stream ends. */
  async #stream<O extends DescMessage>(
    call: FakeCall,
    output: O,
    state: () => MessageInitShape<O> | Promise<MessageInitShape<O>>,
  ): Promise<void> {
    const open: OpenStream = {
      call,
      async send() {
        const message = create(output, await state())
        if (!call.stream.destroyed) call.stream.write(encodeFrame(toBinary(output, message)))
      },
    }
    this.#streams.add(open)
    call.stream.once('close', () => this.#streams.delete(open))
    call.respond()
    await open.send()
  }
}

function callOf(stream: ServerHttp2Stream, method: string, headers: IncomingHttpHeaders): FakeCall {
  return {
    method,
    headers,
    stream,
    fail: (status, message) => endWithStatus(stream, status, message),
    respond: () => {
      if (stream.destroyed || stream.headersSent) return
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true })
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    },
    write: bytes => {
      if (!stream.destroyed) stream.write(bytes)
    },
  }
}

function endWithStatus(stream: ServerHttp2Stream, status: GrpcStatusCode, message: string): void {
  if (stream.destroyed) return
  const trailers = { 'grpc-status': String(status), 'grpc-message': encodeGrpcMessage(message) }
  if (!stream.headersSent) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true })
    return
  }
  stream.removeAllListeners('wantTrailers')
  stream.once('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end()
}

function sendOnce<O extends DescMessage>(call: FakeCall, output: O, message: MessageInitShape<O>): void {
  if (call.stream.destroyed) return
  call.respond()
  call.stream.end(encodeFrame(toBinary(output, create(output, message))))
}

async function readRequest<I extends DescMessage>(stream: ServerHttp2Stream, input: I): Promise<MessageShape<I>> {
  const reader = new FrameReader(1024 * 1024)
  let request: MessageShape<I> | undefined
  // Leaving a plain loop over the stream would destroy it, answer and all.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    for (const bytes of reader.push(chunk)) request = fromBinary(input, bytes)
    if (request !== undefined) return request
  }
  throw new Error('call without a request')
}
