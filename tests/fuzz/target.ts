/** A parser that the fuzzer drives. Add one to a file in targets/ and list that file in targets/index.ts. */
export interface FuzzTarget {
  /** Kebab-case; also the name of the folder below corpus/. */
  readonly name: string
  /** What the inputs are made of, which decides how they are mutated. */
  readonly kind: 'der' | 'text' | 'bytes'
  /**
   * Gives one input to the parser. It may throw what {@link allows} allows; anything else is a finding, and so is a broken property that it
   * asserts. The returned text says in which way it accepted: one that was not seen before
   * marks the input as interesting, and it is mutated further.
   */
  run(input: Uint8Array): string | Promise<string>
  /** True for an error with which the parser may refuse an input. */
  allows(error: unknown): boolean
  /** Strings worth inserting. */
  readonly tokens?: readonly string[] | undefined
  /** Mutates with knowledge of the format; undefined means "not this time". Used for a third of the inputs. */
  readonly mutate?:
    | ((input: Uint8Array, random: Random, pool: readonly Uint8Array[]) => Uint8Array | undefined)
    | undefined
  /** Longest input in bytes. Default 65,536. */
  readonly maxBytes?: number | undefined
  /** Most time of the thread's processor for one input, in milliseconds. Default 50: the event loop never stalls longer. */
  readonly maxMilliseconds?: number | undefined
}

/** A source of numbers that a seed decides. */
export interface Random {
  /** A whole number from 0 to `below` - 1; 0 for `below` < 1. */
  int(below: number): number
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean
  /** One of a list, which must not be empty. */
  pick<T>(list: readonly T[]): T
  bytes(length: number): Uint8Array
}

/** What one input did. */
export type Outcome =
  | { readonly kind: 'accepted' | 'refused'; readonly feature: string }
  | { readonly kind: 'finding'; readonly reason: string }

/** Bounds of one run of a target. */
export interface FuzzOptions {
  /** For how long inputs are mutated after the corpus was replayed. */
  readonly seconds: number
  readonly seed: string
  /** Replays these files instead of the corpus, and mutates nothing. */
  readonly inputs?: readonly string[] | undefined
}

/** What a run of one target found. */
export interface FuzzReport {
  readonly target: string
  readonly seed: string
  /** Files of the corpus that were replayed. */
  readonly replayed: number
  /** Mutated inputs that were given to the parser, and how many of them it accepted. */
  readonly executed: number
  readonly accepted: number
  /** Different outcomes seen. */
  readonly features: number
  readonly findings: readonly Finding[]
}

/** An input that shows a fault. */
export interface Finding {
  readonly reason: string
  /** Where the input was saved. */
  readonly file: string
}
