// A server in a process of its own whose clock is off by some time: `server.ts <server.conf> <milliseconds>`. It says over IPC when it serves.
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createSystemClock, openLogger } from '@plastron/runtime'
import { parseServerConfig, startServer } from '@plastron/server'

const [path = '', offsetMs = '0'] = process.argv.slice(2)
const clock = createSystemClock({
  wallMs: () => Date.now() + Number(offsetMs),
  elapsedMs: () => performance.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms)
    return { clear: () => clearTimeout(timer) }
  },
})
const { config } = parseServerConfig(readFileSync(path, 'utf8'), { path, cwd: dirname(path) })
const log = openLogger(config.log, { now: () => clock.now() })
const stop = new AbortController()
const server = await startServer(config, { log, version: 'storm', clock, signal: stop.signal })
// It ends with whoever started it.
process.once('disconnect', () => process.exit(0))
server.ended.catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
process.send?.({ address: server.address })
