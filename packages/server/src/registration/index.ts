export type { CommitEffects, EffectGroup } from './commit-effects.ts'
export type { AgentFilter, EntryFilter, PageRequest } from './queries.ts'
export { type AgentStanding, type EntryChange, openRegistry, type Registry } from './registry.ts'
export { matchBehaviors, type TextMatch } from './text-match.ts'
