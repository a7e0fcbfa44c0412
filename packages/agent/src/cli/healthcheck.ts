import * as health from '@plastron/api/health'
import { boolFlag, type Command, defineCommand } from '@plastron/runtime/cli'
import { connectWorkloadApi, workloadSocketFlags } from './workload-command.ts'

export const healthcheck: Command = defineCommand({
  name: 'healthcheck',
  summary: 'Determines agent health status',
  flags: {
    ...workloadSocketFlags,
    shallow: boolFlag('Perform a less stringent health check (has no effect)'),
    verbose: boolFlag('Print verbose information'),
  },
  run: async (values, streams) => {
    if (values.verbose) streams.out('Checking agent health...\n')
    let problem: string
    try {
      await using client = connectWorkloadApi(values, streams)
      const { status } = await client.call(health.Health.method.check, {})
      if (status === health.HealthCheckResponse_ServingStatus.SERVING) {
        streams.out('Agent is healthy.\n')
        return 0
      }
      const name = Object.entries(health.HealthCheckResponse_ServingStatus).find(([, value]) => value === status)?.[0]
      problem = `agent returned status ${JSON.stringify(name ?? String(status))}`
    } catch (error) {
      if (values.verbose)
        streams.err(`Failed to check health: ${error instanceof Error ? error.message : String(error)}\n`)
      problem = 'unable to determine health'
    }
    streams.err(`Agent is unhealthy: ${problem}\n`)
    return 1
  },
})
