/** How a set of texts (selectors, trust domains) is held against the set of a filter; the numbers are the API's. */
export const matchBehaviors = ['exact', 'subset', 'superset', 'any'] as const
type MatchBehavior = (typeof matchBehaviors)[number]

/** What a filter asks of a set. */
export interface TextMatch {
  readonly texts: readonly string[]
  readonly match: MatchBehavior
}

/** Whether every text of `part` is in `whole`. Small sets are compared directly. */
export function isSubset(part: readonly string[], whole: readonly string[] | ReadonlySet<string>): boolean {
  const has =
    whole instanceof Set ? (text: string) => whole.has(text) : (text: string) => (whole as string[]).includes(text)
  return part.every(has)
}

/** Whether a stored set fits a filter. A stored set that is empty fits none. */
export function matches(stored: readonly string[], filter: TextMatch): boolean {
  if (stored.length === 0) return false
  switch (filter.match) {
    case 'exact':
      return isSubset(stored, filter.texts) && isSubset(filter.texts, stored)
    case 'subset':
      return isSubset(stored, filter.texts)
    case 'superset':
      return isSubset(filter.texts, stored)
    case 'any':
      return stored.some(text => filter.texts.includes(text))
  }
}
