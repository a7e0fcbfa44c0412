import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js'
import { assertTrustedSocketFolder } from '../listeners/socket-folder.ts'
import { Channel, type ChannelOptions } from './channel.ts'

/** Options of {@link connectUnix}. */
export interface UnixChannelOptions extends ChannelOptions {
  /** User ids besides root and the own one that may own the folder of the socket. Default: none. */
  readonly trustedOwners?: readonly number[] | undefined
}

/**
 * A channel to the server behind a Unix socket. Before every connection the folder of the socket is checked: if somebody else could have put
 * another socket there, calls fail with `UNAVAILABLE` and the reason.
 *
 * @param path the socket; relative to the working directory at the time of the call
 */
export function connectUnix(path: string, options: UnixChannelOptions = {}): Channel {
  const absolute = resolve(path)
  const check = () => assertTrustedSocketFolder(absolute, options.trustedOwners)
  // The authority that Go's clients send too; a socket's path is not a valid one.
  return new Channel(`unix:${absolute}`, new SocketCredentials(check), options, {
    'grpc.default_authority': 'localhost',
  })
}

class SocketCredentials extends ChannelCredentials {
  readonly #check: () => Promise<void>

  constructor(check: () => Promise<void>) {
    super()
    this.#check = check
  }

  override _isSecure(): boolean {
    return false
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this
  }

  override _createSecureConnector() {
    return {
      connect: (socket: Socket) => Promise.resolve({ socket, secure: false }),
      waitForReady: this.#check,
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    }
  }
}
