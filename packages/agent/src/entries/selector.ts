/** A fact about a workload or a rule's demand for one: `{ type: 'unix', value: 'uid:1000' }`. Immutable. */
export interface Selector {
  readonly type: string
  readonly value: string
}

/** `unix:uid:1000`. A type has no colon, so two selectors are equal exactly when these texts are. */
export function selectorKey({ type, value }: Selector): string {
  return `${type}:${value}`
}
