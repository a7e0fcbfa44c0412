import assert from 'node:assert/strict'
import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import * as api from '@plastron/api'
import type { FuzzTarget } from '../target.ts'

/** Messages that strangers send. The first byte of an input chooses one, the rest are its bytes. */
const schemas: readonly DescMessage[] = findSchemas(api)

function findSchemas(namespaces: object): DescMessage[] {
  const found = Object.values(namespaces).flatMap(namespace =>
    typeof namespace === 'object' && namespace !== null ? Object.entries(namespace as object) : [],
  )
  return found
    .filter(([name]) => /(?:Request|SVID|Entry|Selector|Bundle)Schema$/.test(name))
    .map(([, schema]) => schema as DescMessage)
    .toSorted((a, b) => (a.typeName < b.typeName ? -1 : 1))
}

export const apiTargets: readonly FuzzTarget[] = [
  {
    name: 'protobuf',
    kind: 'bytes',
    // What the decoder of @bufbuild/protobuf throws; the adapter to gRPC turns every error into a status.
    allows: error =>
      error instanceof RangeError ||
      (error instanceof Error &&
        (error.constructor === Error || 'code' in error) &&
        !(error instanceof assert.AssertionError)),
    tokens: ['\u0008', '\u0012', '\u001a', 'spiffe://', '\u007f'],
    run(input) {
      const schema = schemas[(input[0] ?? 0) % schemas.length] as DescMessage
      const message = fromBinary(schema, input.subarray(1))
      const bytes = toBinary(schema, message)
      assert.equal(Buffer.compare(toBinary(schema, fromBinary(schema, bytes)), bytes), 0, 'a message does not survive')
      return `${schema.typeName} ${bytes.length > 0}`
    },
  },
]
