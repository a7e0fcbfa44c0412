import type { LineGroup } from '../line.ts'
import { agentLines } from './agents.ts'
import { commandLines } from './command.ts'
import { alikeEntryLines, distinctEntryLines } from './entries.ts'
import { fetchLines } from './fetch.ts'
import { holdLines } from './hold.ts'
import { mintLines } from './mint.ts'
import { oneAgentLines } from './one-agent.ts'
import { propagationLines } from './propagation.ts'
import { startLines } from './start.ts'
import { watchLines } from './watch.ts'

/** Every line of the table, in its order. */
export const allLines: readonly LineGroup[] = [
  ...mintLines,
  ...oneAgentLines,
  ...fetchLines,
  holdLines,
  distinctEntryLines,
  alikeEntryLines,
  ...agentLines,
  propagationLines,
  watchLines,
  startLines,
  commandLines,
]
