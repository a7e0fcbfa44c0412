export { positionMessage } from './position.ts'
export { SyncHub, type SyncHubOptions } from './sync-hub.ts'
