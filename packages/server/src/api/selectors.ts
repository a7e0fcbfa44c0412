import type { types } from '@plastron/api'
import { matchBehaviors, type TextMatch } from '../registration/index.ts'
import { invalid } from './status.ts'

/** Selectors of a request as texts `type:value`. */
export function selectorTexts(selectors: readonly types.Selector[]): string[] {
  return selectors.map(({ type, value }) => {
    if (type === '') throw invalid('missing selector type')
    if (type.includes(':')) throw invalid("selector type contains ':'")
    if (value === '') throw invalid('missing selector value')
    return `${type}:${value}`
  })
}

/** Selectors of a response. */
export function selectorMessages(texts: readonly string[]): { type: string; value: string }[] {
  return texts.map(text => {
    const colon = text.indexOf(':')
    return { type: text.slice(0, colon), value: text.slice(colon + 1) }
  })
}

/** A filter over a set of texts. An empty set is refused: it would mean everything to one reader and nothing to another. */
export function textMatch(texts: readonly string[], match: number, what: string): TextMatch {
  if (texts.length === 0) throw invalid(`empty ${what} set`)
  const behavior = matchBehaviors[match]
  if (behavior === undefined) throw invalid(`unknown match behavior ${match}`)
  return { texts: [...new Set(texts)], match: behavior }
}

/** Selectors as one text, for logs. */
export function selectorField(selectors: readonly types.Selector[]): string {
  return selectors.map(({ type, value }) => `${type}:${value}`).join(',')
}
