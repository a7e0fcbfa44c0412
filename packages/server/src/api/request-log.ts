import { randomUUID } from 'node:crypto'
import {
  type Call,
  type CallKey,
  callKey,
  GrpcError,
  grpcCodeInGo,
  type Interceptor,
  type LogFields,
  type Logger,
  type LogLevel,
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
    const own = new CallLogger(parent, call)
    call.set(callLogKey, own)
    try {
      await next()
    } catch (error) {
      if (error instanceof GrpcError && error === call.endReason) {
        // Nothing went wrong here: its caller left, or the server is stopping. Thousands of streams end so at once.
        own.debug(error.message, { status_code: grpcCodeInGo(error.code) })
      } else if (error instanceof GrpcError) {
        own.error(error.message, { status_code: grpcCodeInGo(error.code), error: error.cause })
      } else {
        own.error('a handler failed unexpectedly', { error })
      }
      throw error
    }
  }
}

/** A call's own logger, made when it is first written to: most calls log nothing. */
class CallLogger implements Logger {
  readonly #parent: Logger
  readonly #call: Call
  #made: Logger | undefined

  constructor(parent: Logger, call: Call) {
    this.#parent = parent
    this.#call = call
  }

  error(message: string, fields?: LogFields): void {
    this.#own.error(message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#own.warn(message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#own.info(message, fields)
  }

  debug(message: string, fields?: LogFields): void {
    this.#own.debug(message, fields)
  }

  trace(message: string, fields?: LogFields): void {
    this.#own.trace(message, fields)
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    this.#own.log(level, message, fields)
  }

  child(fields: LogFields): Logger {
    return this.#own.child(fields)
  }

  isEnabled(level: LogLevel): boolean {
    return this.#parent.isEnabled(level)
  }

  get #own(): Logger {
    this.#made ??= this.#parent.child({
      request_id: randomUUID(),
      ...methodNames(this.#call),
      ...callerFields(this.#call),
    })
    return this.#made
  }
}
