/** What tests of rooms above need: a clock that stands still, a logger and metrics that remember. */

export { silentLogger } from '../logging/logger.ts'
export { FakeClock } from './fake-clock.ts'
export { type RecordedEvent, recordingLogger } from './recording-logger.ts'
export { type RecordedMeasurement, recordingMetrics } from './recording-metrics.ts'
