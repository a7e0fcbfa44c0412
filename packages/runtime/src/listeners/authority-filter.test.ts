import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp2Server } from 'node:http2'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { tempFolder } from '../testing/index.ts'
import { AuthorityFilter, AuthorityRewriter } from './authority-filter.ts'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
/** ENABLE_PUSH 0, MAX_CONCURRENT_STREAMS 0: what Netty sends. */
const settings = Buffer.from('00000c040000000000000200000000000300000000', 'hex')

function headersFrame(block: Buffer): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(block.length, 0, 3)
  header[3] = 1
  header[4] = 0x05
  header.writeUInt32BE(1, 5)
  return Buffer.concat([header, block])
}

/** `:method GET`, `:scheme http`, `:path /` and a literal `:authority`. */
function block(authority: Buffer, huffman: boolean): Buffer {
  return Buffer.concat([Buffer.from([0x82, 0x86, 0x84, 0x41, (huffman ? 0x80 : 0) | authority.length]), authority])
}

/** `/a/b` in RFC 7541's code: 011000 00011 011000 100011, and ones to the end of the octet. */
const huffmanPath = Buffer.from([0b01100000, 0b01101100, 0b01000111])

describe('AuthorityRewriter', () => {
  test('replaces slashes of a plain authority and nothing else', () => {
    const [first, second, third] = new AuthorityRewriter().push(
      Buffer.concat([preface, settings, headersFrame(block(Buffer.from('/run/a.sock'), false))]),
    )
    assert.deepEqual(first, preface)
    assert.deepEqual(second, settings)
    assert.deepEqual(third, headersFrame(block(Buffer.from('-run-a.sock'), false)))
  })

  test('replaces slashes of a Huffman-coded authority without changing its length', () => {
    const parts = new AuthorityRewriter().push(Buffer.concat([preface, headersFrame(block(huffmanPath, true))]))
    const mended = Buffer.concat(parts).subarray(-3)
    // `-a-b`: 010110 00011 010110 100011
    assert.deepEqual(mended, Buffer.from([0b01011000, 0b01101011, 0b01000111]))
  })

  test('gives the same bytes however they are cut, and passes on what follows untouched', () => {
    const later = headersFrame(block(Buffer.from('/later'), false))
    const all = Buffer.concat([preface, settings, headersFrame(block(huffmanPath, true)), later])
    const whole = Buffer.concat(new AuthorityRewriter().push(all))
    for (let size = 1; size < all.length; size += 1) {
      const rewriter = new AuthorityRewriter()
      const parts: Buffer[] = []
      for (let at = 0; at < all.length; at += size) parts.push(...rewriter.push(all.subarray(at, at + size)))
      assert.deepEqual(Buffer.concat(parts), whole)
    }
    assert.deepEqual(whole.subarray(-later.length), later)
  })

  test('never throws and never loses a byte, whatever it is fed', () => {
    let seed = 7
    const next = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return seed % 256
    }
    for (let round = 0; round < 500; round += 1) {
      const noise = Buffer.from(Array.from({ length: 60 }, next))
      const input = Buffer.concat([preface, headersFrame(noise)])
      assert.equal(Buffer.concat(new AuthorityRewriter().push(input)).length, input.length)
    }
  })
})

describe('AuthorityFilter', () => {
  for (const like of ['Netty', 'others'] as const) {
    test(`a connection like those of ${like} reaches HTTP/2 whole`, async () => {
      await using folder = await tempFolder()
      using filter = new AuthorityFilter()
      const http2 = createHttp2Server((request, response) => {
        response.end(String(request.authority))
      })
      http2.on('session', session => session.on('error', () => undefined))
      const server = createServer(socket => filter.accept(socket, connection => http2.emit('connection', connection)))
      server.listen(join(folder.path, 's'))
      await once(server, 'listening')
      const client = connect(join(folder.path, 's'))
      try {
        const empty = Buffer.from('000000040000000000', 'hex')
        client.write(Buffer.concat([preface, like === 'Netty' ? settings : empty]))
        // The server's SETTINGS come before a request was sent: nothing waits for more from the client.
        await once(client, 'data')
        const received: Buffer[] = []
        const answered = new Promise<void>(resolve => {
          client.on('data', chunk => {
            received.push(chunk)
            if (Buffer.concat(received).includes(like === 'Netty' ? '-a-b' : 'host')) resolve()
          })
        })
        client.write(headersFrame(like === 'Netty' ? block(huffmanPath, true) : block(Buffer.from('host'), false)))
        await answered
      } finally {
        client.destroy()
        http2.close()
        server.close()
      }
    })
  }

  test('a connection for which no descriptor is left ends, and nothing else does', async () => {
    await using folder = await tempFolder()
    using filter = new AuthorityFilter(() => {
      throw new Error('no descriptor is left')
    })
    const server = createServer(socket => filter.accept(socket, () => assert.fail('there is no connection to use')))
    server.listen(join(folder.path, 's'))
    await once(server, 'listening')
    const client = connect(join(folder.path, 's'))
    client.write(Buffer.concat([preface, settings]))
    await once(client, 'close')
    server.close()
  })

  test('ends connections that never say anything when it is disposed of', async () => {
    await using folder = await tempFolder()
    const filter = new AuthorityFilter()
    const server = createServer(socket => filter.accept(socket, () => assert.fail('nothing was said')))
    server.listen(join(folder.path, 's'))
    await once(server, 'listening')
    const client = connect(join(folder.path, 's'))
    await once(server, 'connection')
    filter[Symbol.dispose]()
    await once(client, 'close')
    server.close()
  })
})
