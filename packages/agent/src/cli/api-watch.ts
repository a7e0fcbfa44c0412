import * as workload from '@plastron/api/workload'
import { type Command, defineCommand } from '@plastron/runtime/cli'
import { readSvidReport, svidReportText } from './svid-report.ts'
import { connectWorkloadApi, workloadSocketFlags } from './workload-command.ts'

export const apiWatch: Command = defineCommand({
  name: 'api watch',
  usageName: 'watch',
  summary: "Attaches to the Workload API and prints updates as they're received",
  errorPrefix: '',
  flags: workloadSocketFlags,
  run: async (values, streams) => {
    await using client = connectWorkloadApi(values, streams)
    let since = streams.now().getTime()
    for await (const response of client.stream(workload.SpiffeWorkloadAPI.method.fetchX509SVID, {})) {
      const now = streams.now()
      streams.out(svidReportText(await readSvidReport(response, now), now.getTime() - since))
      since = now.getTime()
    }
    return 0
  },
})
