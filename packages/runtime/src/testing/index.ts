export { FakeClock } from './fake-clock.ts'
export { tempFolder } from './temp-folder.ts'
