import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { type Measurement, measure } from './load.ts'

/** The limit of every document: asynchronous P-256 signatures in this process, on all cores. */
export function measureRawSignature(operations: number): Promise<Measurement> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const data = randomBytes(300)
  return measure({
    name: 'raw P-256 signature',
    operations,
    concurrency: 32,
    pid: process.pid,
    run: () =>
      new Promise<Buffer>((resolve, reject) => {
        sign('sha256', data, privateKey, (error, signature) => (error === null ? resolve(signature) : reject(error)))
      }),
  })
}
