export { positionMessage } from './position.ts'
export { SyncHub } from './sync-hub.ts'
