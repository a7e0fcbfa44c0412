import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a file of the corpus expects of the parser: `hostile` files must be refused, within the bounds of the target. */
export type Expectation = 'accept' | 'reject' | 'hostile'

/** One file of the corpus. */
export interface CorpusFile {
  readonly path: string
  readonly expectation: Expectation
  readonly input: Uint8Array
}

/** Where the corpus of all targets lies. */
export const corpusFolder = join(import.meta.dirname, 'corpus')

/** Every file of a target's corpus, in the order of their names. */
export function readCorpus(target: string): CorpusFile[] {
  return (['accept', 'reject', 'hostile'] as const).flatMap(expectation => {
    const folder = join(corpusFolder, target, expectation)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .toSorted()
      .map(name => ({ path: join(folder, name), expectation, input: new Uint8Array(readFileSync(join(folder, name))) }))
  })
}
