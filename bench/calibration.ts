import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inParallel } from './load.ts'

/** What the machine's elements cost now, in microseconds of CPU time of this process. */
export interface Calibration {
  /** An asynchronous P-256 signature. */
  readonly signMicroseconds: number
  /** An asynchronous P-256 verification. */
  readonly verifyMicroseconds: number
  /** 500 bytes over a Unix socket and back, both ends in this process. */
  readonly echoMicroseconds: number
  /** One of each: what costs are divided by when two runs are compared. */
  readonly totalMicroseconds: number
}

/** Runs each element so many times. The machine's load shows here as it shows in what is measured in the same minute. */
export async function calibrate(operations: number): Promise<Calibration> {
  const { privateKey: pair } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const privateKey = createPrivateKey(pair.export({ type: 'pkcs8', format: 'pem' }))
  const publicKey = createPublicKey(privateKey)
  const data = randomBytes(300)
  const signOnce = () =>
    new Promise<Buffer>((resolve, reject) =>
      sign('sha256', data, privateKey, (error, signature) => (error === null ? resolve(signature) : reject(error))),
    )
  const signature = await signOnce()
  const verifyOnce = () =>
    new Promise<void>((resolve, reject) =>
      verify('sha256', data, publicKey, signature, (error, valid) =>
        error === null && valid ? resolve() : reject(error ?? new Error('a signature that is not valid')),
      ),
    )
  const signMicroseconds = await cpuOfEach(operations, 32, signOnce)
  const verifyMicroseconds = await cpuOfEach(operations, 32, verifyOnce)
  const echoMicroseconds = await echo(operations)
  return {
    signMicroseconds,
    verifyMicroseconds,
    echoMicroseconds,
    totalMicroseconds: signMicroseconds + verifyMicroseconds + echoMicroseconds,
  }
}

async function cpuOfEach(operations: number, concurrency: number, run: () => Promise<unknown>): Promise<number> {
  await inParallel(Math.ceil(operations / 10), concurrency, run)
  const before = process.cpuUsage()
  await inParallel(operations, concurrency, run)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / operations
}

async function echo(operations: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'plastron-bench-echo-'))
  const server = createServer(socket => socket.pipe(socket))
  try {
    await new Promise<void>(resolve => server.listen(join(folder, 's'), resolve))
    const client = connect({ path: join(folder, 's') })
    const message = randomBytes(500)
    const once = () =>
      new Promise<void>(resolve => {
        let missing = message.length
        const read = (chunk: Buffer) => {
          missing -= chunk.length
          if (missing > 0) return
          client.off('data', read)
          resolve()
        }
        client.on('data', read)
        client.write(message)
      })
    const microseconds = await cpuOfEach(operations, 1, once)
    client.destroy()
    return microseconds
  } finally {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
