import { url } from 'node:inspector'

/**
 * Ways to open a debugger, through which whoever reaches it runs code in the process. Node reads `_` in options as `-`. Only how an open one is
 * made known opens none; the test runner sets it.
 */
const inspectorOption = /^--(?:inspect|debug)(?![-_]publish[-_]uid)(?:[-_=]|$)/

/**
 * Why a daemon must not run in this process: an inspector is open or is asked for by Node's options, on the command line or in `NODE_OPTIONS`.
 * Undefined if there is none.
 */
export function inspectorProblem(
  execArgv: readonly string[] = process.execArgv,
  nodeOptions: string = process.env.NODE_OPTIONS ?? '',
  inspectorUrl: string | undefined = url(),
): string | undefined {
  const consequence = 'with an inspector every local user could take the keys'
  const option = execArgv.find(argument => inspectorOption.test(argument))
  if (option !== undefined) return `Node was started with ${optionName(option)}: ${consequence}. Start it without`
  const fromEnvironment = nodeOptions.split(/[\s"]+/).find(word => inspectorOption.test(word))
  if (fromEnvironment !== undefined) return `NODE_OPTIONS has ${optionName(fromEnvironment)}: ${consequence}. Unset it`
  return inspectorUrl === undefined ? undefined : `an inspector is open: ${consequence}`
}

function optionName(option: string): string {
  return option.split('=')[0] ?? option
}
