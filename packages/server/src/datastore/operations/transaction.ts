import type { CompiledQuery, Kysely } from 'kysely'
import type { Change } from '../changes.ts'
import type { Schema } from '../schema.ts'

/** What an operation works with: one transaction of whatever engine, and the changes it makes. */
export interface Transaction {
  readonly db: Kysely<Schema>
  /** Names the SQL dialect: compiled queries are kept by it. */
  readonly dialect: string
  readonly nowMs: number
  readonly nowSeconds: number
  /** Runs a compiled query straight on the transaction's connection, past kysely's own layers: for what is hot. */
  execute<Row>(query: CompiledQuery<Row>): Promise<Row[]>
  /** Notes a change that takes a number; it gets one when the operation ends. */
  changed(change: Numberless): void
  /** Notes a change that takes none: renewals, versions and status of agents. */
  touched(change: Numberless): void
  /** Reports a row that cannot be read; it is left out and everything else served. */
  unreadable(table: string, row: string, cause: unknown): void
}

type WithoutNumber<C> = C extends Change ? Omit<C, 'number'> : never
/** A change before it has its number. */
export type Numberless = WithoutNumber<Change>

/** The value that stands for a parameter while a query is compiled. */
type Parameter = { readonly parameter: string }

/** Names the parameter of a {@link prepared} query; typed as whatever the place wants. */
// biome-ignore lint/suspicious/noExplicitAny: the marker takes the place of a value of any column
const marker = (name: string): any => ({ parameter: name }) satisfies Parameter

/**
 * A query that is built and compiled once per dialect and then runs with values by name: building costs several
 * times what SQLite needs to run it.
 */
export function prepared<Row, Names extends string>(
  // biome-ignore lint/suspicious/noExplicitAny: see marker
  build: (db: Kysely<Schema>, parameter: (name: Names) => any) => { compile(): CompiledQuery<Row> },
): (tx: Transaction, values: Readonly<Record<Names, unknown>>) => Promise<Row[]> {
  const compiled = new Map<string, { query: CompiledQuery<Row>; names: readonly (Names | undefined)[] }>()
  return async (tx, values) => {
    let entry = compiled.get(tx.dialect)
    if (entry === undefined) {
      const query = build(tx.db, marker).compile()
      const names = query.parameters.map(value =>
        typeof value === 'object' && value !== null && 'parameter' in value ? (value.parameter as Names) : undefined,
      )
      entry = { query, names }
      compiled.set(tx.dialect, entry)
    }
    const { query, names } = entry
    const parameters = names.map((name, index) => (name === undefined ? query.parameters[index] : values[name]))
    return tx.execute<Row>({ ...query, parameters })
  }
}
