import type { FlagDefinition } from '../flags/flag-definitions.ts'

/** How a command prints what it got: for people, or as one JSON value for programs. */
export type OutputFormat = 'pretty' | 'json'

/** `-output`: `pretty` (also `prettyprint`) or `json` in any case; a second, different value is refused. */
export function outputFlag(): FlagDefinition<OutputFormat | undefined> {
  return {
    kind: 'value',
    usage: 'Desired output format (pretty, json); default: pretty.',
    initial: undefined,
    accept: (text, sofar) => {
      const name = text.toLowerCase()
      const format = name === 'prettyprint' ? 'pretty' : name
      if (format !== 'pretty' && format !== 'json')
        throw new Error(`bad formatter flag: unknown format option: ${JSON.stringify(text)}`)
      if (sofar !== undefined && sofar !== format)
        throw new Error(`bad formatter flag: the output format is already ${sofar}`)
      return format
    },
  }
}
