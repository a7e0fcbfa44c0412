import { randomUUID } from 'node:crypto'
import {
  type Call,
  type CallKey,
  callKey,
  GrpcError,
  grpcCodeInGo,
  type Interceptor,
  type Logger,
} from '@plastron/runtime'
import { callerFields } from './caller.ts'

/** Where a call's own logger lies: it adds the request's id, the caller and the method. */
const callLogKey: CallKey<Logger> = callKey<Logger>('call log')

/** The logger of a call. */
export function callLog(call: Call): Logger {
  const log = call.get(callLogKey)
  if (log === undefined) throw new GrpcError('INTERNAL', 'logger missing from request context')
  return log
}

/** The short names of a method in logs and metrics: `entry.v1.Entry` and `BatchCreateEntry`. */
function methodNames(call: Call): { readonly service: string; readonly method: string } {
  const { typeName } = call.method.parent
  return { service: typeName.replace(/^spire\.api\.(server|agent)\./, ''), method: call.method.name }
}

/** Gives each call a logger with a random `request_id`, and writes why a call failed: once, here. */
export function requestLogStage(log: Logger): Interceptor {
  const parent = log.child({ subsystem_name: 'api' })
  return async (call, next) => {
    const own = lazyChild(parent, () => ({ request_id: randomUUID(), ...methodNames(call), ...callerFields(call) }))
    call.set(callLogKey, own)
    try {
      await next()
    } catch (error) {
      if (error instanceof GrpcError) {
        own.error(error.message, { status_code: grpcCodeInGo(error.code), error: error.cause })
      } else {
        own.error('a handler failed unexpectedly', { error })
      }
      throw error
    }
  }
}

/** A child logger that is made when it is first needed: most calls log nothing. */
function lazyChild(parent: Logger, fields: () => Record<string, unknown>): Logger {
  let made: Logger | undefined
  const child = (): Logger => {
    made ??= parent.child(fields())
    return made
  }
  return {
    error: (message, more) => child().error(message, more),
    warn: (message, more) => child().warn(message, more),
    info: (message, more) => child().info(message, more),
    debug: (message, more) => child().debug(message, more),
    trace: (message, more) => child().trace(message, more),
    log: (level, message, more) => child().log(level, message, more),
    child: more => child().child(more),
    isEnabled: level => parent.isEnabled(level),
  }
}
