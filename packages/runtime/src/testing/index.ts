export { FakeClock } from './fake-clock.ts'
export { type RecordedEvent, recordingLogger } from './recording-logger.ts'
export { type RecordedMeasurement, recordingMetrics } from './recording-metrics.ts'
export { tempFolder } from './temp-folder.ts'
