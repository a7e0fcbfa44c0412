import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { duplexPair } from 'node:stream'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { HpackError } from './block-reader.ts'
import { FrameParser, FrameType, PREFACE } from './frames.ts'
import { HeaderDecoder, type HeaderMap } from './header-decoder.ts'
import { encodeHeaders } from './header-encoder.ts'

const limits = { maxHeaderBytes: 64 << 10, maxHeaders: 128 }
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

/** The header blocks that Node's client makes of requests, one after the other on one connection. */
async function blocksOf(requests: readonly Readonly<Record<string, string>>[]): Promise<Buffer[]> {
  const [near, far] = duplexPair()
  const received: Buffer[] = []
  far.on('data', (chunk: Buffer) => received.push(chunk))
  const session = connect('http://localhost', { createConnection: () => near })
  session.on('error', () => undefined)
  far.write(hex('000000 04 00 00000000'))
  await once(session, 'connect')
  for (const headers of requests) session.request(headers, { endStream: true }).on('error', () => undefined)
  const frames = () => [...new FrameParser().push(Buffer.concat(received).subarray(PREFACE.length))]
  const blocks = () => frames().filter(({ type }) => type === FrameType.HEADERS)
  while (received.length === 0 || blocks().length < requests.length) await new Promise(setImmediate)
  session.destroy()
  return blocks().map(({ payload, flags }) => {
    // Node's client sends a priority with its requests.
    return Buffer.from((flags & 0x20) === 0 ? payload : payload.subarray(5))
  })
}

const value = fc.stringMatching(/^[a-cx-zA-C0-9_/.:=+% ~!-]{0,40}$/).map(text => text.trim())
const request = fc
  .dictionary(fc.stringMatching(/^x-[a-z0-9]{1,12}$/), value, { maxKeys: 8, noNullPrototype: true })
  .map(headers => ({
    ':path': '/a.B/C',
    ':method': 'POST',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  }))

describe('HPACK (RFC 7541)', () => {
  test("what node:http2's client sends, compressed, with a table that fills and empties", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 60 }), async requests => {
        const decoder = new HeaderDecoder(limits)
        for (const [index, block] of (await blocksOf(requests)).entries()) {
          const { headers, problem } = decoder.decode(block)
          assert.equal(problem, undefined)
          const { ':authority': authority, ':scheme': scheme, ...rest } = headers
          assert.deepEqual({ authority, scheme }, { authority: 'localhost:80', scheme: 'http' })
          assert.deepEqual({ ...rest }, requests[index])
        }
      }),
      { numRuns: 25 },
    )
  })

  test('the examples of appendix C.3 and C.4: three requests, plain and in Huffman code', () => {
    const plain = [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ]
    const huffman = [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ]
    const common = { ':method': 'GET', ':authority': 'www.example.com' }
    const expected = [
      { ...common, ':scheme': 'http', ':path': '/' },
      { ...common, ':scheme': 'http', ':path': '/', 'cache-control': 'no-cache' },
      { ...common, ':scheme': 'https', ':path': '/index.html', 'custom-key': 'custom-value' },
    ]
    for (const blocks of [plain, huffman]) {
      const decoder = new HeaderDecoder(limits)
      assert.deepEqual(
        blocks.map(block => ({ ...decoder.decode(hex(block)).headers })),
        expected,
      )
    }
  })

  test('a block is not taken for the one before once the table has changed', () => {
    const decoder = new HeaderDecoder(limits)
    const named = (block: string): HeaderMap => decoder.decode(hex(block)).headers
    // `a: 1` enters the table as 62, is asked for twice, and `b: 2` takes its number.
    assert.equal(named('40 01 61 01 31').a, '1')
    assert.equal(named('be').a, '1')
    assert.equal(named('be').a, '1')
    assert.equal(named('40 01 62 01 32').b, '2')
    assert.deepEqual({ ...named('be') }, { b: '2' })
    // The table shrinks to nothing: the number means nothing any more.
    assert.deepEqual({ ...named('20') }, {})
    assert.throws(() => named('be'), HpackError)
  })

  test('a block that cannot be read says why', () => {
    for (const [block, why] of [
      ['80', /no entry 0/],
      ['be', /no entry 62/],
      ['ff ff ff ff ff 0f', /too many digits/],
      ['40 05 61', /longer than the block/],
      ['40', /ends in the middle/],
      ['82 20', /in the middle of a block/],
      ['3f e2 1f', /at most 4096/],
    ] as const)
      assert.throws(() => new HeaderDecoder(limits).decode(hex(block)), why, block)
  })

  test('what is too large or against the rules is read to its end, and named', () => {
    const problemOf = (fields: readonly (readonly [string, string])[], isTrailer = false) =>
      new HeaderDecoder(limits).decode(encodeHeaders(fields), isTrailer).problem
    assert.equal(problemOf(Array.from({ length: 129 }, (_, i) => [`x-${i}`, ''])), 'too large')
    assert.equal(problemOf([['x', 'y'.repeat(64 << 10)]]), 'too large')
    for (const fields of [
      [['X-Upper', 'a']],
      [['', 'a']],
      [['a b', 'c']],
      [['a', 'b\r\nc']],
      [['a', 'b\0']],
      [['a', ' b']],
      [['connection', 'close']],
      [['te', 'gzip']],
      [[':status', '200']],
      [[':unknown', 'a']],
      [
        [':path', '/'],
        [':path', '/'],
      ],
      [
        ['a', 'b'],
        [':path', '/'],
      ],
    ] as const)
      assert.equal(problemOf(fields), 'malformed', JSON.stringify(fields))
    assert.equal(problemOf([[':path', '/']], true), 'malformed')
    assert.equal(
      problemOf([
        ['te', 'trailers'],
        ['x', ''],
      ]),
      undefined,
    )
  })

  test('whatever comes is read or refused', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), blocks => {
        const decoder = new HeaderDecoder(limits)
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block))
        } catch (error) {
          assert.ok(error instanceof HpackError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

test('what is encoded is read by every decoder', () => {
  const field = fc.tuple(fc.stringMatching(/^[a-z-]{1,20}$/), value)
  fc.assert(
    fc.property(fc.array(field), fields => {
      const { headers } = new HeaderDecoder({ maxHeaderBytes: 1 << 20, maxHeaders: 1000 }).decode(
        encodeHeaders(fields),
        true,
      )
      for (const [name, text] of fields) assert.ok(headers[name]?.split(', ').includes(text) || headers[name] === text)
    }),
  )
})
