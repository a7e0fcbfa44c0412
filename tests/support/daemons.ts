import * as health from '@plastron/api/health'
import { connectSocketClient } from '@plastron/runtime/cli'
import type { Daemon } from '../../packages/plastron/src/dev/daemon.ts'

/** Ends a daemon as a power cut would; resolves when it is gone. */
export async function kill(daemon: Daemon): Promise<void> {
  if (daemon.pid !== undefined) process.kill(daemon.pid, 'SIGKILL')
  await daemon.ended
}

/**
 * Resolves once the daemon's health service says SERVING. Rejects when the daemon ends before, or has not come up within the
 * bound, which is against hanging and no measurement.
 */
export async function untilServing(daemon: Daemon, socketPath: string, boundMs = 60_000): Promise<void> {
  const over = new AbortController()
  try {
    await daemon.whileRunning(asking(daemon, socketPath, over.signal, Date.now() + boundMs))
  } finally {
    over.abort()
  }
}

async function asking(daemon: Daemon, socketPath: string, signal: AbortSignal, deadline: number): Promise<void> {
  while (!signal.aborted && !(await isServing(socketPath, signal))) {
    if (Date.now() > deadline) throw new Error(`${daemon.name} does not serve:\n${daemon.logTail()}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function isServing(socketPath: string, signal: AbortSignal): Promise<boolean> {
  await using client = connectSocketClient(socketPath, { signal, timeoutMs: 5_000 })
  try {
    const { status } = await client.call(health.Health.method.check, {})
    return status === health.HealthCheckResponse_ServingStatus.SERVING
  } catch {
    return false
  }
}
