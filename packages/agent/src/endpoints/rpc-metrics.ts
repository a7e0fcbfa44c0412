import type { DescMethod } from '@bufbuild/protobuf'
import { GrpcError, grpcCodeInGo, type Interceptor, type Metrics, noMetrics, snakeCase } from '@plastron/runtime'

/** Services whose name in metrics is not their full name (AGT-TEL-001). */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  SpiffeWorkloadAPI: 'workload_api',
  'grpc.health.v1.Health': 'health',
  'spire.agent.debug.v1.Debug': 'debug_api',
  'spire.api.agent.logger.v1.Logger': 'logger_api',
}

/** Measures each call under `rpc`, the service and the method, with its status. The agent's own calls are not measured (AGT-WL-020). */
export function rpcMetrics(metrics: Metrics): Interceptor {
  if (metrics === noMetrics) return (_call, next) => next()
  return async (call, next) => {
    if (call.peer.kind === 'unix' && call.peer.pid === process.pid) return next()
    const measurement = metrics.startCall(keyOf(call.method))
    let status = 'OK'
    try {
      await next()
    } catch (error) {
      status = error instanceof GrpcError ? grpcCodeInGo(error.code) : 'Internal'
      throw error
    } finally {
      measurement.end(status)
    }
  }
}

/** Names are put together once per method. */
const keys = new WeakMap<DescMethod, readonly string[]>()

function keyOf(method: DescMethod): readonly string[] {
  let key = keys.get(method)
  if (key === undefined) {
    const { typeName } = method.parent
    key = ['rpc', SHORT_NAMES[typeName] ?? snakeCase(typeName), snakeCase(method.name)]
    keys.set(method, key)
  }
  return key
}
