import * as health from '@plastron/api/health'
import { boolFlag, connectSocketClient, defineCommand } from '@plastron/runtime/cli'
import { adminSocket } from './admin-command.ts'

export const healthcheck = defineCommand({
  name: 'healthcheck',
  summary: 'Determines server health status',
  flags: {
    ...adminSocket.flags(),
    shallow: boolFlag('Perform a less stringent health check (has no effect)'),
    verbose: boolFlag('Print verbose information'),
  },
  run: async (values, streams) => {
    if (values.verbose) streams.out('Checking server health...\n')
    const socketPath = adminSocket.resolve(values, streams)
    let problem: string
    try {
      await using client = connectSocketClient(socketPath, { signal: streams.signal })
      const { status } = await client.call(health.Health.method.check, {})
      if (status === health.HealthCheckResponse_ServingStatus.SERVING) {
        streams.out('Server is healthy.\n')
        return 0
      }
      problem = `server returned status ${JSON.stringify(statusName(status))}`
    } catch (error) {
      if (values.verbose)
        streams.err(`Failed to check health: ${error instanceof Error ? error.message : String(error)}\n`)
      problem = 'unable to determine health'
    }
    streams.err(`Error: server is unhealthy: ${problem}\n`)
    return 1
  },
})

function statusName(status: health.HealthCheckResponse_ServingStatus): string {
  return (
    Object.entries(health.HealthCheckResponse_ServingStatus).find(([, value]) => value === status)?.[0] ??
    String(status)
  )
}
