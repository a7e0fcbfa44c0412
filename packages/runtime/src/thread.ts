/** What a thread of a daemon needs from here: small, because each thread loads its own. */

export { systemClock } from './clock/system-clock.ts'
export { onceCalm, releaseStartMemory } from './process/start-memory.ts'
