import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { expandEnvironment } from './expand-env.ts'
import { ConfigError } from './problem.ts'
import { configLimits } from './tree.ts'

/** The environment that a configuration is read in. */
export interface ConfigEnvironment {
  /** Variables for the expansion. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder that relative paths start from. */
  readonly cwd: string
}

/**
 * Reads the text of a configuration file, with variables expanded if `expandEnv` is set.
 *
 * @throws {@link ConfigError} `ERR_CONFIG_UNREADABLE` naming the path: the absolute one and the flag `-config` if there is no such file
 */
export async function readConfigFile(
  path: string,
  expandEnv: boolean,
  { env, cwd }: ConfigEnvironment,
): Promise<string> {
  const absolute = resolve(cwd, path)
  const unreadable = (message: string, cause: unknown) =>
    new ConfigError('ERR_CONFIG_UNREADABLE', [{ message, source: path }], { cause })
  let bytes: Buffer
  try {
    bytes = await readCapped(absolute)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT')
      throw unreadable(`could not find config file ${absolute}: please use the -config flag`, error)
    const reason = code ?? (error instanceof Error ? error.message : String(error))
    throw unreadable(`unable to read configuration at ${JSON.stringify(path)}: ${reason}`, error)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw unreadable(`configuration at ${JSON.stringify(path)} is not UTF-8 text`, error)
  }
  return expandEnv ? expandEnvironment(text, env) : text
}

/** Reads to the end, but not for ever: a device has no end, and a pipe from another program no known size. */
async function readCapped(path: string): Promise<Buffer> {
  // Four bytes is the most that a character takes.
  const most = configLimits.characters * 4
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > most) throw new Error(`it has more than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
