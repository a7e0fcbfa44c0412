import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { ListenerError } from '../listeners/listener-error.ts'
import type { Health, HealthReport } from './health.ts'

/** Options of {@link listenHealth}. */
export interface HealthListenerOptions {
  /** What is asked at every request. */
  readonly health: Pick<Health, 'live' | 'ready'>
  /** IP address or name to listen on. */
  readonly host: string
  /** Port; 0 for a free one. */
  readonly port: number
  /** Path that says whether the process lives: `/live`. */
  readonly livePath: string
  /** Path that says whether it can do work: `/ready`. */
  readonly readyPath: string
}

/** A plain HTTP port for orchestrators' probes. */
export interface HealthListener extends AsyncDisposable {
  /** Where it listens, with the port that it got. */
  readonly address: { readonly host: string; readonly port: number }
}

/**
 * Answers probes: 200 or 500, with a JSON object from each check's name to its details. Answers come from the last run of the checks, so that
 * whoever reaches the port cannot make work.
 *
 * @throws {ListenerError} `ERR_LISTEN_IN_USE`, `ERR_LISTEN_ADDRESS`
 */
export async function listenHealth(options: HealthListenerOptions): Promise<HealthListener> {
  const { host, port, health, livePath, readyPath } = options
  const reports = new Map<string, () => HealthReport>([
    [livePath, () => health.live()],
    [readyPath, () => health.ready()],
  ])
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => answer(request, response, reports),
  )
  server.maxConnections = 256
  server.on('clientError', (_error, socket) => socket.destroy())
  await new Promise<void>((done, fail) => {
    server.once('listening', done)
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'EADDRINUSE' ? 'ERR_LISTEN_IN_USE' : 'ERR_LISTEN_ADDRESS'
      fail(new ListenerError(code, `cannot listen on ${host}:${port} for health checks: ${cause.message}`, { cause }))
    })
    server.listen(port, host)
  })
  server.on('error', () => undefined)
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new ListenerError('ERR_LISTEN_ADDRESS', 'the health listener has no port')
  return {
    address: { host: address.address, port: address.port },
    [Symbol.asyncDispose]: () =>
      new Promise<void>(done => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

function answer(request: IncomingMessage, response: ServerResponse, reports: Map<string, () => HealthReport>): void {
  // Whatever a probe sends along is none of our business.
  request.resume()
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  const report = reports.get(path)?.()
  if (!report) {
    response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('not found\n')
    return
  }
  response
    .writeHead(report.healthy ? 200 : 500, { 'content-type': 'application/json' })
    .end(JSON.stringify(report.details))
}
