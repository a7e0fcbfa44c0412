import type { DescMethod } from '@bufbuild/protobuf'
import { GrpcError, grpcCodeInGo, type Interceptor, type Metrics, snakeCase } from '@plastron/runtime'

/** The name of a method in metrics, made once: a method's description lives as long as the program. */
const names = new WeakMap<DescMethod, readonly string[]>()

function nameOf(method: DescMethod): readonly string[] {
  let name = names.get(method)
  if (name === undefined) {
    const service = method.parent.typeName.replace(/^(spire\.api\.(server|agent)|plastron\.api\.server)\./, '')
    name = ['rpc', ...service.split('.').map(snakeCase), snakeCase(method.name)]
    names.set(method, name)
  }
  return name
}

/** Measures each call under `rpc`, the parts of its service and its method, all in snake case, with its status. */
export function metricsStage(metrics: Metrics): Interceptor {
  return async (call, next) => {
    const measurement = metrics.startCall(nameOf(call.method))
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
