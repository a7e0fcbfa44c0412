import type { Random } from './target.ts'

/** A DER element as the mutator sees it: bytes, or elements inside. */
interface Node {
  tag: number
  content: Uint8Array | Node[]
}

/** Changes DER by its elements and writes all lengths anew, so that what lies deep inside is reached. Undefined if it is not DER. */
export function mutateDer(input: Uint8Array, random: Random, pool: readonly Uint8Array[]): Uint8Array | undefined {
  const forest = readForest(input, 0)
  if (forest === undefined) return undefined
  for (let rounds = 1 + random.int(3); rounds > 0; rounds--) change(forest, random, pool)
  return Buffer.concat(forest.map(encode))
}

function change(forest: Node[], random: Random, pool: readonly Uint8Array[]): void {
  const places: { list: Node[]; index: number }[] = []
  collect(forest, places)
  if (places.length === 0) return
  const { list, index } = random.pick(places)
  const node = list[index] as Node
  switch (random.int(10)) {
    case 0:
      list.splice(index, 1)
      return
    case 1:
      list.splice(index, 0, clone(node))
      return
    case 2: {
      const other = random.int(list.length)
      list[index] = list[other] as Node
      list[other] = node
      return
    }
    case 3:
      node.tag = random.chance(50) ? node.tag ^ (1 << random.int(8)) : random.pick(TAGS)
      return
    case 4: {
      const from = readForest(random.pick(pool), 0)
      if (from === undefined) return
      const others: { list: Node[]; index: number }[] = []
      collect(from, others)
      if (others.length === 0) return
      const chosen = random.pick(others)
      list[index] = clone(chosen.list[chosen.index] as Node)
      return
    }
    case 5: {
      let wrapped = node
      for (let depth = random.chance(90) ? 1 : random.int(100); depth > 0; depth--)
        wrapped = { tag: 0x30, content: [wrapped] }
      list[index] = wrapped
      return
    }
    case 6: {
      const elsewhere = random.pick(places)
      list[index] = clone(elsewhere.list[elsewhere.index] as Node)
      return
    }
    default:
      node.content = changeContent(encodeContent(node), random)
  }
}

const TAGS = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80, 0x82, 0x86, 0x87, 0xa0,
  0xa3,
]
const CONTENTS = [
  '',
  '00',
  'ff',
  '01',
  '7f',
  '80',
  '0000',
  '00ff',
  '8000',
  '00'.repeat(21),
  'ff'.repeat(21),
  '2a',
  '2a03',
  '551d1e',
]

function changeContent(content: Uint8Array, random: Random): Uint8Array {
  const bytes = Buffer.from(content)
  switch (random.int(5)) {
    case 0:
      return Buffer.from(random.pick(CONTENTS), 'hex')
    case 1:
      return bytes.subarray(0, random.int(bytes.length + 1))
    case 2:
      return Buffer.concat([bytes, random.bytes(1 + random.int(8))])
    case 3:
      return random.bytes(random.int(64))
    default:
      if (bytes.length > 0) {
        const at = random.int(bytes.length)
        bytes[at] = (bytes[at] as number) ^ (1 << random.int(8))
      }
      return bytes
  }
}

/** A list of elements that fills the bytes exactly, or undefined. Strings that hold DER are opened too. */
function readForest(bytes: Uint8Array, depth: number): Node[] | undefined {
  const nodes: Node[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] as number
    let length = bytes[at + 1] ?? -1
    let start = at + 2
    if ((tag & 0x1f) === 0x1f || length < 0) return undefined
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets === 0 || octets > 3) return undefined
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[start++] ?? Number.POSITIVE_INFINITY)
    }
    if (start + length > bytes.length) return undefined
    const content = bytes.subarray(start, start + length)
    const opens = (tag & 0x20) !== 0 || (tag === 0x04 && length > 1)
    nodes.push({ tag, content: (opens && depth < 24 ? readForest(content, depth + 1) : undefined) ?? content })
    at = start + length
  }
  return nodes
}

function collect(list: Node[], places: { list: Node[]; index: number }[]): void {
  for (const [index, node] of list.entries()) {
    places.push({ list, index })
    if (Array.isArray(node.content)) collect(node.content, places)
  }
}

function clone(node: Node): Node {
  return { tag: node.tag, content: Array.isArray(node.content) ? node.content.map(clone) : node.content }
}

function encodeContent(node: Node): Uint8Array {
  return Array.isArray(node.content) ? Buffer.concat(node.content.map(encode)) : node.content
}

function encode(node: Node): Uint8Array {
  const content = encodeContent(node)
  const size = content.length
  const length =
    size < 0x80
      ? [size]
      : size < 0x100
        ? [0x81, size]
        : size < 0x10000
          ? [0x82, size >> 8, size & 255]
          : [0x83, size >> 16, (size >> 8) & 255, size & 255]
  return Buffer.concat([Uint8Array.of(node.tag & 0xff, ...length), content])
}
