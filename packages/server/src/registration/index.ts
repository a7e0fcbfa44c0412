export { type EntryDelta, entryState, updateEntryDelta } from './entry-delta.ts'
export type { AgentFilter, EntryFilter, PageRequest } from './queries.ts'
export {
  type AgentStanding,
  openRegistry,
  type Registry,
  type RegistryListener,
  type RegistryOptions,
} from './registry.ts'
export { type MatchBehavior, matchBehaviors, type TextMatch } from './text-match.ts'
