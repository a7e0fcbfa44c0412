import { GrpcError, grpcCodeInGo, type Interceptor, type Metrics } from '@plastron/runtime'

const snake = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()

/** Measures each call under `rpc`, the parts of its service and its method, all in snake case, with its status. */
export function metricsStage(metrics: Metrics): Interceptor {
  return async (call, next) => {
    const service = call.method.parent.typeName.replace(/^spire\.api\.(server|agent)\./, '')
    const measurement = metrics.startCall(['rpc', ...service.split('.').map(snake), snake(call.method.name)])
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
