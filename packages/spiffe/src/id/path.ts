import { SpiffeError } from '../spiffe-error.ts'
import { characterError, isPathCode, quote } from './characters.ts'

const SLASH = 0x2f
const DOT = 0x2e

/**
 * Checks the path of a SPIFFE ID: empty, or `/segment` once or more.
 *
 * A segment is not empty, not `.` or `..`, and holds only `a-z A-Z 0-9 . - _`. Nothing is decoded or normalized.
 *
 * @throws {@link SpiffeError} `ERR_ID_PATH_NO_LEADING_SLASH`, `ERR_ID_PATH_TRAILING_SLASH`,
 * `ERR_ID_PATH_EMPTY_SEGMENT`, `ERR_ID_PATH_DOT_SEGMENT`, `ERR_ID_PATH_CHARACTER`
 * @see SPIFFE-ID standard, "Path"
 */
export function checkIdPath(path: string): void {
  if (path === '') return
  if (path.charCodeAt(0) !== SLASH) {
    throw new SpiffeError('ERR_ID_PATH_NO_LEADING_SLASH', `path must begin with "/": ${quote(path)}`)
  }
  let start = 1
  for (let index = 1; index <= path.length; index++) {
    const code = index < path.length ? path.charCodeAt(index) : SLASH
    if (code !== SLASH) {
      if (!isPathCode(code)) throw characterError('ERR_ID_PATH_CHARACTER', PATH_CHARACTER_RULE, path, index)
      continue
    }
    if (index === start) {
      throw index === path.length
        ? new SpiffeError('ERR_ID_PATH_TRAILING_SLASH', `path must not end with "/": ${quote(path)}`)
        : new SpiffeError('ERR_ID_PATH_EMPTY_SEGMENT', `path must not hold an empty segment: ${quote(path)}`)
    }
    if (isDotSegment(path, start, index)) throw dotSegment(path)
    start = index + 1
  }
}

/**
 * Checks one path segment by itself.
 *
 * @throws {@link SpiffeError} `ERR_ID_PATH_EMPTY_SEGMENT`, `ERR_ID_PATH_DOT_SEGMENT`, `ERR_ID_PATH_CHARACTER`
 * @see SPIFFE-ID standard, "Path"
 */
export function checkIdPathSegment(segment: string): void {
  if (segment === '') throw new SpiffeError('ERR_ID_PATH_EMPTY_SEGMENT', 'path segment must not be empty')
  for (let index = 0; index < segment.length; index++) {
    if (!isPathCode(segment.charCodeAt(index))) {
      throw characterError('ERR_ID_PATH_CHARACTER', PATH_CHARACTER_RULE, segment, index)
    }
  }
  if (isDotSegment(segment, 0, segment.length)) throw dotSegment(segment)
}

/**
 * Joins segments into a path, each checked by itself, so that no value can add a segment of its own. No segments give
 * the empty path.
 *
 * @throws {@link SpiffeError} as {@link checkIdPathSegment}
 */
export function joinIdPath(...segments: string[]): string {
  for (const segment of segments) checkIdPathSegment(segment)
  return segments.length === 0 ? '' : `/${segments.join('/')}`
}

/**
 * Template tag for paths made of values: `` idPath`/ns/${namespace}/sa/${account}` ``.
 *
 * Each value may hold only segment characters, so a value never adds, removes or ends a segment; the finished path is
 * checked as a whole.
 *
 * @throws {@link SpiffeError} as {@link checkIdPath}; `ERR_ID_PATH_EMPTY_SEGMENT` for an empty value
 */
export function idPath(template: TemplateStringsArray, ...values: string[]): string {
  let path = template[0] ?? ''
  for (const [index, value] of values.entries()) {
    checkIdPathSegment(value)
    path += value + (template[index + 1] ?? '')
  }
  checkIdPath(path)
  return path
}

const PATH_CHARACTER_RULE = 'path may hold only letters, digits, dots, dashes and underscores'

function isDotSegment(text: string, start: number, end: number): boolean {
  const length = end - start
  if (length > 2 || text.charCodeAt(start) !== DOT) return false
  return length === 1 || text.charCodeAt(start + 1) === DOT
}

function dotSegment(text: string): SpiffeError {
  return new SpiffeError('ERR_ID_PATH_DOT_SEGMENT', `path must not hold a "." or ".." segment: ${quote(text)}`)
}
