import type { ProtoWriter } from './proto-writer.ts'

const SCHEME = 'spiffe://'

/** The fields of a `spire.api.types.SPIFFEID` for an ID that is stored as text. */
export function writeSpiffeId(writer: ProtoWriter, id: string): void {
  const slash = id.indexOf('/', SCHEME.length)
  writer.text(1, slash === -1 ? id.slice(SCHEME.length) : id.slice(SCHEME.length, slash))
  if (slash !== -1) writer.text(2, id.slice(slash))
}
