import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { PkiError, pkiErrorCodes } from './errors.ts'

test('README.md lists the error codes, all of them and no others', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const listed = [...readme.matchAll(/^\| `(ERR_PKI_[A-Z_0-9]+)` +\| \S/gm)].map(match => match[1])
  assert.deepEqual(listed, [...pkiErrorCodes])
})

test('an error carries code, message and cause', () => {
  const cause = new Error('x')
  const error = new PkiError('ERR_PKI_DER', 'what', { cause })
  assert.deepEqual([error.name, error.code, error.message, error.cause], ['PkiError', 'ERR_PKI_DER', 'what', cause])
})
