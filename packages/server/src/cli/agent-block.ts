import type { Agent } from '@plastron/api/types/agent'
import { goLocalTime } from '@plastron/runtime/cli'
import { spiffeIdText } from './entry-block.ts'

/** The lines that `agent list` and `agent show` print of an agent. */
export function agentBlock(agent: Agent): string {
  const lines: (readonly [label: string, value: string])[] = [
    ['SPIFFE ID', spiffeIdText(agent.id)],
    ['Attestation type', agent.attestationType],
    ['Expiration time', goLocalTime(new Date(Number(agent.x509svidExpiresAt) * 1000))],
  ]
  if (agent.banned) lines.push(['Banned', 'true'])
  else lines.push(['Serial number', agent.x509svidSerialNumber])
  lines.push(['Can re-attest', String(agent.canReattest)])
  if (agent.agentVersion !== '') lines.push(['Agent version', agent.agentVersion])
  return lines.map(([label, value]) => `${label.padEnd(18)}: ${value}\n`).join('')
}
