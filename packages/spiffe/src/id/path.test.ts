import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpiffeError } from '../spiffe-error.ts'
import { checkIdPath, checkIdPathSegment, idPath, joinIdPath } from './path.ts'

test('LIB-ID-012 join checks each segment, dot segments included', () => {
  assert.equal(joinIdPath(), '')
  assert.equal(joinIdPath('a', 'B.c', '_-'), '/a/B.c/_-')
  for (const segment of ['', '.', '..', '/', 'a/b', '%2e', 'é', '\0']) {
    assert.throws(() => joinIdPath('a', segment), SpiffeError)
    assert.throws(() => checkIdPathSegment(segment), SpiffeError)
  }
})

test('LIB-ID-012 a path is checked as a whole', () => {
  for (const path of ['', '/a', '/a/b']) checkIdPath(path)
  for (const path of ['a', '/', '/a/', '//', '/a//b', '/..', '/a?']) assert.throws(() => checkIdPath(path), SpiffeError)
})

test('LIB-ID-012 ADV-06 a template takes values as parts of segments, never as paths', () => {
  const namespace = 'default'
  assert.equal(idPath`/ns/${namespace}/sa/${'web'}`, '/ns/default/sa/web')
  assert.equal(idPath`/spire/agent`, '/spire/agent')
  for (const value of ['..', '.', 'a/b', 'a/../b', '%2e%2e', '//', '\0', '\n', 'é', '']) {
    assert.throws(() => idPath`/ns/${value}`, SpiffeError)
  }
  // Harmless values that make a dot segment only together are caught by the check of the whole.
  assert.throws(() => idPath`/.${'.'}`, { code: 'ERR_ID_PATH_DOT_SEGMENT' })
})
