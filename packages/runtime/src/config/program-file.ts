import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expandEnvironment } from './expand-env.ts'
import { ConfigError } from './problem.ts'

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
    bytes = await readFile(absolute)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT')
      throw unreadable(`could not find config file ${absolute}: please use the -config flag`, error)
    throw unreadable(`unable to read configuration at ${JSON.stringify(path)}: ${code ?? String(error)}`, error)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw unreadable(`configuration at ${JSON.stringify(path)} is not UTF-8 text`, error)
  }
  return expandEnv ? expandEnvironment(text, env) : text
}
