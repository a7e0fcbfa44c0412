import { readlink } from 'node:fs/promises'
import {
  type Call,
  type CallKey,
  callKey,
  GrpcError,
  grpcCodeInGo,
  grpcCodeName,
  type Interceptor,
  type UnixPeer,
} from '@plastron/runtime'
import { standingKey } from './caller.ts'
import { callLog } from './request-log.ts'
import type { ItemStatus } from './status.ts'

type Fields = Record<string, unknown>

/** What a call adds to its audit records. */
class AuditTrail {
  readonly #call: Call
  readonly #fields: Fields = {}
  #items = 0

  constructor(call: Call) {
    this.#call = call
  }

  add(fields: Fields): void {
    Object.assign(this.#fields, fields)
  }

  /** Batch calls write one record per item, with the item's own status. */
  item(status: ItemStatus, fields: Fields): void {
    this.#items += 1
    this.#write(
      status.code === 0 ? undefined : { code: grpcCodeInGo(grpcCodeName(status.code)), message: status.message },
      fields,
    )
  }

  end(error: unknown): void {
    if (error === undefined) {
      if (this.#items === 0 && !isBatch(this.#call)) this.#write(undefined, {})
      return
    }
    const known = error instanceof GrpcError
    this.#write(
      { code: grpcCodeInGo(known ? error.code : 'INTERNAL'), message: known ? error.message : 'internal error' },
      {},
    )
  }

  #write(failure: { readonly code: string; readonly message: string } | undefined, fields: Fields): void {
    const standing = this.#call.get(standingKey)
    callLog(this.#call).info('API accessed', {
      type: 'audit',
      authorized_as: standing?.as,
      authorized_via: standing?.via,
      ...this.#fields,
      ...fields,
      ...(failure === undefined
        ? { status: 'success' }
        : { status: 'error', status_code: failure.code, status_message: failure.message }),
    })
  }
}

const paths = new WeakMap<UnixPeer, Promise<string | undefined>>()

/** The program of a local caller, looked up once a connection; undefined when it cannot be read or has ended. */
function callerPath(peer: UnixPeer): Promise<string | undefined> {
  let path = paths.get(peer)
  if (path === undefined) {
    path = readlink(`/proc/${peer.pid}/exe`).then(
      // The number is only the caller's as long as the caller lives.
      found => (peer.process.isAlive() ? found : undefined),
      () => undefined,
    )
    paths.set(peer, path)
  }
  return path
}

const auditKey: CallKey<AuditTrail> = callKey<AuditTrail>('audit trail')

function isBatch(call: Call): boolean {
  return call.method.name.startsWith('Batch')
}

/** Writes who did what to the log, one `API accessed` line a call or an item of a batch, with `type=audit`. */
export function auditStage(): Interceptor {
  return async (call, next) => {
    const trail = new AuditTrail(call)
    if (call.peer.kind === 'unix') trail.add({ caller_path: await callerPath(call.peer) })
    call.set(auditKey, trail)
    let failure: unknown
    try {
      await next()
    } catch (error) {
      failure = error ?? new Error('unknown')
      throw error
    } finally {
      trail.end(failure)
    }
  }
}

/** Adds fields to the audit record of a call; computes them only when there is one. */
export function audit(call: Call, fields: () => Fields): void {
  call.get(auditKey)?.add(fields())
}

/** Writes the audit record of one item of a batch; computes its fields only when there is one. */
export function auditItem(call: Call, status: ItemStatus, fields: () => Fields): void {
  call.get(auditKey)?.item(status, fields())
}
