const special = /[*#$@!?0-9-]/
const nameCharacter = /[A-Za-z0-9_]/

/**
 * Replaces `$NAME` and `${NAME}` in a whole text by variables of the environment, as Go's `os.Expand` does: an unset variable becomes nothing,
 * `$$` a dollar sign, one special character or digit after `$` is a name of its own, and malformed braces are eaten.
 */
export function expandEnvironment(text: string, env: Readonly<Record<string, string | undefined>>): string {
  let expanded = ''
  let from = 0
  const lastBrace = text.lastIndexOf('}')
  for (let at = text.indexOf('$'); at >= 0 && at + 1 < text.length; at = text.indexOf('$', from)) {
    expanded += text.slice(from, at)
    const { name, width } = readName(text, at + 1, lastBrace)
    if (name === '$') expanded += '$'
    else if (name !== '') expanded += Object.hasOwn(env, name) ? (env[name] ?? '') : ''
    // A dollar sign before anything else stays as it is; broken braces go.
    else if (width === 0) expanded += '$'
    from = at + 1 + width
  }
  return expanded + text.slice(from)
}

function readName(text: string, start: number, lastBrace: number): { name: string; width: number } {
  const first = text[start] ?? ''
  if (first === '{') {
    const second = text[start + 1] ?? ''
    if (special.test(second) && text[start + 2] === '}') return { name: second, width: 3 }
    // Without this, a text of nothing but unclosed braces would be searched to its end for each of them.
    const end = start < lastBrace ? text.indexOf('}', start + 1) : -1
    if (end === start + 1) return { name: '', width: 2 }
    if (end < 0) return { name: '', width: 1 }
    return { name: text.slice(start + 1, end), width: end - start + 1 }
  }
  if (special.test(first)) return { name: first, width: 1 }
  let end = start
  while (end < text.length && nameCharacter.test(text[end] ?? '')) end += 1
  return { name: text.slice(start, end), width: end - start }
}
