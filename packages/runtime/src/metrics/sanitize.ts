import type { MetricLabels } from './metrics.ts'

/** A name of protobuf as a part of a metric's: `BatchCreateEntry` is `batch_create_entry`. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
}

/** Each run of other characters than letters, digits and `_`, with one `_` after it, becomes `_`, as SPIRE has it. */
export function sanitizeLabel(text: string): string {
  return text.replace(/[^A-Za-z0-9_]+_?/g, '_')
}

/** What is measured, with which labels: decided by the operator's lists. */
export interface MetricFilter {
  allowsKey(key: string): boolean
  allowsLabel(name: string): boolean
}

export interface MetricFilterLists {
  readonly allowedPrefixes: readonly string[]
  readonly blockedPrefixes: readonly string[]
  readonly allowedLabels: readonly string[]
  readonly blockedLabels: readonly string[]
}

/** Of the prefixes that fit a name the longest decides; a name that none fits is let through. A label must not be blocked, and be allowed if any is. */
export function metricFilter(lists: MetricFilterLists): MetricFilter {
  const longest = (prefixes: readonly string[], key: string) =>
    Math.max(-1, ...prefixes.filter(prefix => key.startsWith(prefix)).map(({ length }) => length))
  return {
    allowsKey: key => {
      const blocked = longest(lists.blockedPrefixes, key)
      return blocked < 0 || longest(lists.allowedPrefixes, key) > blocked
    },
    allowsLabel: name =>
      !lists.blockedLabels.includes(name) && (lists.allowedLabels.length === 0 || lists.allowedLabels.includes(name)),
  }
}

/** Cleaned labels that the filter lets through. */
export function filterLabels(labels: MetricLabels, filter: MetricFilter): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(labels)) {
    if (filter.allowsLabel(name)) result[sanitizeLabel(name)] = sanitizeLabel(value)
  }
  return result
}
