import type { Http2Server } from 'node:http2'
import { type ConnectionInjector, type Server, ServerCredentials } from '@grpc/grpc-js'

/** What is reached inside a grpc-js server. Its version is pinned; a version in which these have moved fails here, at the first start. */
interface ServerInternals {
  readonly commonServerOptions: Record<string, unknown>
  readonly http2Servers: Map<Http2Server, unknown>
}

/**
 * Makes the injector of a grpc-js server with more HTTP/2 options than grpc-js takes, and gives access to the HTTP/2 server behind it. The only
 * place that relies on members of grpc-js that are not public.
 *
 * @throws TypeError when this version of grpc-js is built differently
 */
export function injectorWithHttp2(
  server: Server,
  options: Record<string, unknown>,
): { injector: ConnectionInjector; http2Server: Http2Server } {
  const { commonServerOptions, http2Servers } = server as unknown as ServerInternals
  if (typeof commonServerOptions !== 'object' || !(http2Servers instanceof Map))
    throw new TypeError('this version of @grpc/grpc-js keeps its HTTP/2 servers elsewhere')
  Object.assign(commonServerOptions, options)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const [http2Server] = http2Servers.keys()
  if (http2Server?.listenerCount('stream') !== 1)
    throw new TypeError('this version of @grpc/grpc-js handles streams elsewhere')
  return { injector, http2Server }
}
