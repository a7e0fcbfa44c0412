import type { PageRequest } from '../registration/index.ts'
import { invalid } from './status.ts'

/** The largest page. A request may name any size; memory follows this one. */
export const MAX_PAGE_SIZE = 10_000

/**
 * The page that a request asks for: everything without a size, otherwise at most {@link MAX_PAGE_SIZE} after the row
 * that the token names.
 */
export function pageRequest(size: number, token: string): PageRequest {
  if (size < 0) throw invalid('page size must not be negative')
  if (size === 0) return { afterRow: 0 }
  return { afterRow: token === '' ? 0 : rowOf(token), limit: Math.min(size, MAX_PAGE_SIZE) }
}

function rowOf(token: string): number {
  if (!/^\d{1,19}$/.test(token)) throw invalid(`could not parse token "${token.slice(0, 40)}"`)
  // A row beyond any that exists is past the end.
  return Math.min(Number(token), Number.MAX_SAFE_INTEGER - 1)
}

/** The token after a page: the last row's, as long as pages are asked for and not empty. */
export function nextPageToken(page: PageRequest, items: readonly { readonly row: number }[]): string {
  return page.limit === undefined ? '' : (items.at(-1)?.row.toString() ?? '')
}
