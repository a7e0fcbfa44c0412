import { parseHcl } from './hcl-parser.ts'
import { parseJsonTree } from './json-tree.ts'
import { ConfigError } from './problem.ts'
import { type ObjectNode, SyntaxProblem } from './tree.ts'
import { parseYamlTree } from './yaml-tree.ts'

/**
 * Reads a configuration text: YAML if `path` ends in .yaml or .yml, JSON if the first character that is not blank is `{`, otherwise HCL version 1.
 *
 * @param path names the text in errors
 * @throws {@link ConfigError} `ERR_CONFIG_SYNTAX` with the place where the text breaks off
 */
export function parseConfigText(text: string, path: string): ObjectNode {
  try {
    if (/\.ya?ml$/i.test(path)) return parseYamlTree(text)
    return /^\s*\{/.test(text) ? parseJsonTree(text) : parseHcl(text)
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error
    throw new ConfigError('ERR_CONFIG_SYNTAX', [{ message: error.message, source: path, position: error.position }], {
      cause: error,
    })
  }
}
