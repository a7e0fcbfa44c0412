import { connect as connectSocket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import { type ConnectionOptions, GrpcConnection } from './grpc-connection.ts'

/** Connects to a Unix socket, without TLS. */
export function connectUnix(path: string, headers: ConnectionOptions['headers'] = {}): Promise<GrpcConnection> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ path })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new GrpcConnection(socket, { scheme: 'http', headers }))
    })
  })
}

/** For who has no certificate: a context of its own for each would cost the generator as much as a handshake. */
let anonymous: SecureContext | undefined

/** Connects with TLS, showing the context's certificate if it has one. What is measured is the server, on this machine: it is not verified. */
export function connectServer(
  { host, port }: { readonly host: string; readonly port: number },
  secureContext?: SecureContext,
): Promise<GrpcConnection> {
  return new Promise((resolve, reject) => {
    anonymous ??= createSecureContext()
    const options = { host, port, ALPNProtocols: ['h2'], rejectUnauthorized: false, noDelay: true }
    const socket = connectTls({ ...options, secureContext: secureContext ?? anonymous })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      resolve(new GrpcConnection(socket, { scheme: 'https' }))
    })
  })
}
