import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** The port that was used the last time when it is free, otherwise one that the system chooses. Loopback only. */
export async function choosePort(rememberedPath: string): Promise<number> {
  const remembered = Number(readOr(rememberedPath, '0'))
  if (Number.isInteger(remembered) && remembered > 1024 && remembered < 65_536) {
    try {
      return await probe(remembered)
    } catch {
      // Somebody else has it now.
    }
  }
  return probe(0)
}

function probe(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      const chosen = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(chosen))
    })
  })
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return fallback
  }
}
