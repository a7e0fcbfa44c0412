import type { DescService } from '@bufbuild/protobuf'
import { type ChannelCredentials, Client, type ClientOptions } from '@grpc/grpc-js'
import { createServiceClient, type ServiceClient } from './client.ts'

/** Options that every channel has. */
export interface ChannelOptions {
  /** Largest response in bytes. Default 64 MiB: lists of entries are long, and the server is one that we chose. */
  readonly maxResponseBytes?: number | undefined
  /** First pause between attempts to connect, in milliseconds. Default 200. */
  readonly minReconnectMs?: number | undefined
  /** Longest pause between attempts to connect, in milliseconds. Default 10,000. */
  readonly maxReconnectMs?: number | undefined
  /** Time without a sign of life after which a PING is sent while calls are open, in milliseconds. Default: none. */
  readonly keepaliveMs?: number | undefined
  /** Time for the answer to a PING, in milliseconds. Default 20,000. */
  readonly keepaliveTimeoutMs?: number | undefined
}

/** Settings of the library that are the same for every channel: nothing that a resolver or a proxy variable says changes what we do. */
export function clientOptions(options: ChannelOptions): ClientOptions {
  return {
    'grpc.service_config_disable_resolution': 1,
    'grpc.service_config': '{}',
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    // Only those that are safe: what a server says it has not begun. Without a policy, and none is taken, nothing else is repeated.
    'grpc.enable_retries': 1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': options.maxResponseBytes ?? 64 << 20,
    'grpc.max_send_message_length': -1,
    'grpc-node.max_session_memory': 128,
    'grpc.initial_reconnect_backoff_ms': options.minReconnectMs ?? 200,
    'grpc.max_reconnect_backoff_ms': options.maxReconnectMs ?? 10_000,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? 20_000,
    ...(options.keepaliveMs === undefined ? {} : { 'grpc.keepalive_time_ms': options.keepaliveMs }),
  }
}

/** A connection to one server, made when the first call needs it and made again when it was lost. */
export class Channel implements Disposable {
  readonly #target: string
  readonly #credentials: ChannelCredentials
  readonly #options: ClientOptions
  readonly #clients = new Map<DescService, unknown>()
  #current: Client
  #closed = false

  /** Use {@link connectUnix} or {@link connectMutualTls}. */
  constructor(target: string, credentials: ChannelCredentials, options: ChannelOptions, extra: ClientOptions = {}) {
    this.#target = target
    this.#credentials = credentials
    this.#options = { ...clientOptions(options), ...extra }
    this.#current = this.#make()
  }

  /** The functions that call a service over this channel. The same object at every call. */
  client<S extends DescService>(service: S): ServiceClient<S> {
    let client = this.#clients.get(service) as ServiceClient<S> | undefined
    if (!client) {
      client = createServiceClient(service, () => this.#current)
      this.#clients.set(service, client)
    }
    return client
  }

  /**
   * Makes later calls use a new connection, with the certificates of that moment and without a pause left over from failed attempts. Calls that
   * run stay on the old one, which ends with the last of them.
   */
  reconnect(): void {
    if (this.#closed) return
    const previous = this.#current
    this.#current = this.#make()
    previous.close()
  }

  /** Takes no more calls; calls that run go on until they end. */
  [Symbol.dispose](): void {
    this.#closed = true
    this.#current.close()
  }

  #make(): Client {
    return new Client(this.#target, this.#credentials, this.#options)
  }
}
