import type { Line } from '../line.ts'
import { fetchLines } from './fetch.ts'
import { mintLines } from './mint.ts'
import { oneAgentLines } from './one-agent.ts'

/** Every line of the table, in its order. */
export const allLines: readonly Line[] = [...mintLines, ...oneAgentLines, ...fetchLines]
