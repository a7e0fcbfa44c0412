import * as agentV1 from '@plastron/api/agent-v1'
import type { Agent } from '@plastron/api/types/agent'
import { boolFlag, durationFlag, sortedJson } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { spiffeIdText } from './entry-block.ts'

const pageSize = 1000

export const agentPurge = adminCommand({
  name: 'agent purge',
  summary: 'Purges re-attestable agents whose SVIDs expired long ago',
  flags: {
    dryRun: boolFlag('Lists the agents that would be purged, and purges none'),
    expiredFor: durationFlag('Amount of time that has passed since the agent SVID has expired', '720h'),
  },
  run: async (values, { client, streams, json }) => {
    const deadline = streams.now().getTime() - values.expiredFor
    const expired: Agent[] = []
    let pageToken = ''
    do {
      const page = await client.call(agentV1.Agent.method.listAgents, {
        filter: { byCanReattest: true },
        pageSize,
        pageToken,
      })
      expired.push(...page.agents.filter(agent => Number(agent.x509svidExpiresAt) * 1000 < deadline))
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    const results: { agent_id: string; deleted: boolean; error?: string }[] = []
    for (const agent of expired) {
      const agentId = spiffeIdText(agent.id)
      if (values.dryRun || agent.id === undefined) {
        results.push({ agent_id: agentId, deleted: false })
        continue
      }
      try {
        await client.call(agentV1.Agent.method.deleteAgent, { id: agent.id })
        results.push({ agent_id: agentId, deleted: true })
      } catch (error) {
        results.push({
          agent_id: agentId,
          deleted: false,
          error: error instanceof Error ? error.message : String(error),
        })
      }
    }
    if (json) streams.out(`${sortedJson({ expired_agents: results })}\n`)
    else streams.out(prettyResults(results, values.dryRun))
  },
})

function prettyResults(
  results: readonly { agent_id: string; deleted: boolean; error?: string }[],
  dryRun: boolean,
): string {
  if (results.length === 0) return 'No agents to purge.\n'
  const plural = (count: number) => (count === 1 ? 'agent' : 'agents')
  if (dryRun) {
    return `Found ${results.length} expired ${plural(results.length)} that can be purged:\n${results.map(result => `\nSPIFFE ID         : ${result.agent_id}\n`).join('')}`
  }
  const purged = results.filter(({ deleted }) => deleted)
  const kept = results.filter(({ deleted }) => !deleted)
  let text = `Found ${results.length} expired ${plural(results.length)}\n`
  if (purged.length > 0)
    text += `\nAgents purged:\n${purged.map(result => `SPIFFE ID         : ${result.agent_id}\n`).join('')}`
  if (kept.length > 0) {
    text += `\nAgents not purged:\n${kept.map(result => `SPIFFE ID         : ${result.agent_id}\nError             : ${result.error ?? ''}\n`).join('')}`
  }
  return text
}
