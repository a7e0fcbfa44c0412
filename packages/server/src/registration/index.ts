export type { AgentFilter, EntryFilter, PageRequest } from './queries.ts'
export { type AgentStanding, openRegistry, type Registry } from './registry.ts'
export { matchBehaviors, type TextMatch } from './text-match.ts'
