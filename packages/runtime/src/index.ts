export type { Clock } from './clock/clock.ts'
export { createSystemClock, MAX_TIMER_MS, systemClock, type TimeSource } from './clock/system-clock.ts'
export { TaskError, TaskGroup } from './lifecycle/task-group.ts'
export { DeadlineError, withDeadline } from './lifecycle/with-deadline.ts'
