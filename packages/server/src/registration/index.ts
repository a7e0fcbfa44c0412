export type { AgentStanding, Registry, RegistryOptions } from './registry-types.ts'
