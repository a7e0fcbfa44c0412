// biome-ignore-all lint/suspicious/noTemplateCurlyInString: names of variables as files have them
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { expandEnvironment } from './expand-env.ts'
import { parseJsonTree } from './json-tree.ts'
import { flag, text, texts, whole } from './keys.ts'
import { editDistance, nearestName } from './nearest.ts'
import { parseConfigText } from './parse-config.ts'
import { ConfigError } from './problem.ts'
import { schemaJson, schemaRows } from './schema-documents.ts'
import { ConfigReader } from './section-reader.ts'
import { plainValue, SyntaxProblem } from './tree.ts'
import { parseYamlTree } from './yaml-tree.ts'

function problem(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    assert.ok(error instanceof SyntaxProblem, String(error))
    return `${error.position.line}:${error.position.column} ${error.message}`
  }
  throw new Error('accepted')
}

describe('JSON', () => {
  test('gives the values of JSON.parse, in order', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter(key => key !== '__proto__'),
          fc.jsonValue({ maxDepth: 4 }),
        ),
        value => {
          const written = JSON.stringify(value)
          assert.equal(JSON.stringify(plainValue(parseJsonTree(written))), JSON.stringify(JSON.parse(written)))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('accepts exactly what JSON.parse accepts', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"\\u0041"',
      '"\\x"',
      '1',
      '-5',
      '01',
      '1.5e3',
      '.5',
      'true',
      'null',
      ' ',
      '\n',
      '//',
      "'",
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), words => {
        const written = `{"k":${words.join('')}}`
        let theirs: unknown
        try {
          theirs = JSON.parse(written)
        } catch {
          assert.throws(() => parseJsonTree(written), SyntaxProblem)
          return
        }
        assert.deepEqual(plainValue(parseJsonTree(written)), theirs)
      }),
      { numRuns: 3000 },
    )
  })

  test('keeps a repeated key, says where, and is bounded', () => {
    assert.deepEqual(
      parseJsonTree('{"a":1,"a":2}').items.map(({ key, position }) => [key, position.column]),
      [
        ['a', 2],
        ['a', 8],
      ],
    )
    assert.equal(
      problem(() => parseJsonTree('{\n "a": [1 2]\n}')),
      '2:10 expected , or ], found "2"',
    )
    assert.equal(
      problem(() => parseJsonTree('[]')),
      '1:1 a configuration is an object',
    )
    assert.equal(
      problem(() => parseJsonTree('{} x')),
      '1:4 expected the end of the text, found "x"',
    )
    assert.match(
      problem(() => parseJsonTree(`{"a":${'['.repeat(200)}`)),
      /nested deeper than 100/,
    )
  })
})

describe('YAML', () => {
  test('reads mappings, lists and values with their places', () => {
    const tree = parseYamlTree('# c\na: 1\nb:\n  c: [x, true, 1.5, null, "5", 0x10]\n  d: |\n    line\n')
    assert.deepEqual(plainValue(tree), { a: 1, b: { c: ['x', true, 1.5, null, '5', 16], d: 'line\n' } })
    const b = tree.items[1]
    assert.deepEqual(b?.position, { line: 3, column: 1 })
    assert.deepEqual(b?.value.kind === 'object' && b.value.items[1]?.position, { line: 5, column: 3 })
    assert.deepEqual(parseYamlTree('').items, [])
    assert.deepEqual(plainValue(parseYamlTree('a:\n')), { a: null })
  })

  test('refuses what hides or repeats something', () => {
    assert.match(
      problem(() => parseYamlTree('a: &x 1\nb: 2')),
      /^1:\d+ anchors are not accepted/,
    )
    assert.match(
      problem(() => parseYamlTree('a: *x')),
      /^1:4 /,
    )
    assert.match(
      problem(() => parseYamlTree('a: !mine 1')),
      /^1:/,
    )
    assert.match(
      problem(() => parseYamlTree('a: 1\na: 2')),
      /^2:1 .*unique/,
    )
    assert.match(
      problem(() => parseYamlTree('a: 1\n---\nb: 2')),
      /only one document/,
    )
    assert.match(
      problem(() => parseYamlTree('- a')),
      /^1:1 a configuration is a mapping/,
    )
    assert.match(
      problem(() => parseYamlTree('a: [')),
      /^1:/,
    )
    assert.match(
      problem(() => parseYamlTree('? [a]\n: b')),
      /a key is a plain text/,
    )
    assert.match(
      problem(() => parseYamlTree(`a: ${'['.repeat(300)}${']'.repeat(300)}`)),
      /nested deeper than 100/,
    )
    assert.match(
      problem(() => parseYamlTree(`a: ${'['.repeat(50_000)}`)),
      /./,
    )
  })

  test('always ends, with a tree or a SyntaxProblem', () => {
    const pieces = [
      'a',
      ':',
      ' ',
      '\n',
      '-',
      '[',
      ']',
      '{',
      '}',
      '&x',
      '*x',
      '!t',
      '|',
      '>',
      '"',
      "'",
      '#',
      '?',
      ',',
      '%',
      '@',
      '---',
      '\t',
      '1',
      '~',
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 25 }), words => {
        try {
          parseYamlTree(words.join(''))
        } catch (error) {
          assert.ok(error instanceof SyntaxProblem, String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('SRV-CFG-005 AGT-CFG-003 the environment', () => {
  const env = { A: '1', AB_2: 'two', '*': 'star', EMPTY: '' }
  // What Go's os.Expand answers for each, tried with the mapping that the reference uses.
  const table: [text: string, expanded: string][] = [
    ['$A', '1'],
    ['${A}', '1'],
    ['$A$AB_2', '1two'],
    ['$A.x', '1.x'],
    ['$MISSING|${MISSING}|$EMPTY', '||'],
    ['$$', '$'],
    ['$$A', '$A'],
    ['${$}', '$'],
    ['$$$A', '$1'],
    ['$', '$'],
    ['a$', 'a$'],
    ['$ x', '$ x'],
    ['$.', '$.'],
    ['${', ''],
    ['${A', 'A'],
    ['${}', ''],
    ['x${}y', 'xy'],
    ['$1x', 'x'],
    ['$12', '2'],
    ['$*', 'star'],
    ['${*}', 'star'],
    ['${A B}', ''],
    ['é$A', 'é1'],
    ['$é', '$é'],
    ['$__proto__ ${constructor}', ' '],
  ]
  for (const [given, expanded] of table)
    test(`${JSON.stringify(given)} is ${JSON.stringify(expanded)}`, () =>
      assert.equal(expandEnvironment(given, env), expanded))

  test('takes time in proportion to the text', () => {
    const started = performance.now()
    expandEnvironment(`${'${'.repeat(500_000)}`, {})
    expandEnvironment(`}${'${'.repeat(500_000)}`, {})
    assert.ok(performance.now() - started < 5000)
  })
})

describe('nearest names', () => {
  test('Levenshtein’s distance', () => {
    assert.equal(editDistance('kitten', 'sitting'), 3)
    assert.equal(editDistance('', 'abc'), 3)
    assert.equal(editDistance('same', 'same'), 0)
  })

  test('the nearest, if any is near', () => {
    assert.equal(nearestName('bind_prot', ['bind_address', 'bind_port']), 'bind_port')
    assert.equal(nearestName('TRUST_DOMIAN', ['trust_domain']), 'trust_domain')
    assert.equal(nearestName('xyz', ['bind_address', 'bind_port']), undefined)
    assert.equal(nearestName('x'.repeat(100_000), ['bind_port']), undefined)
  })
})

describe('sections', () => {
  const schema = z.strictObject({
    name: text('A name.'),
    size: whole(5, 'A size.', 1),
    on: flag(true, 'A switch.'),
    list: texts('A list.'),
    inner: z.strictObject({ deep: text('Deep.') }).prefault({}),
    many: z.array(z.strictObject({ id: text('Id.') })).default([]),
    map: z.record(z.string(), z.strictObject({ v: whole(0, 'V.') })).default({}),
  })

  function read(written: string, path = 'x.conf') {
    const reader = new ConfigReader(path)
    const top = parseConfigText(written, path)
    const value = reader.section(schema, [top], 'top', { zeroIsUnset: true })
    return { value, problems: reader.sortedProblems(), reader }
  }

  test('blocks of one key are merged, lists joined, labels are names', () => {
    const { value, problems } = read(
      'inner { } inner { deep = "x" } list = ["a"] list = ["b", ""] many { id = "1" } many = [{ id = "2" }] map "a.b" { v = 1 } map c { v = 2 }',
    )
    assert.deepEqual(problems, [])
    assert.deepEqual(value, {
      size: 5,
      on: true,
      inner: { deep: 'x' },
      list: ['a', 'b', ''],
      many: [{ id: '1' }, { id: '2' }],
      map: { 'a.b': { v: 1 }, c: { v: 2 } },
    })
  })

  test('null and what is empty count as not set, in JSON too', () => {
    assert.deepEqual(read('{"name": "", "size": 0, "on": null, "inner": null, "list": null}').value, {
      size: 5,
      on: true,
      inner: {},
      list: [],
      many: [],
      map: {},
    })
  })

  test('names of JavaScript are keys like others', () => {
    const { value, problems } = read('{"__proto__": {"v": 1}, "map": {"__proto__": {"v": 1}, "constructor": {"v": 2}}}')
    assert.deepEqual(
      problems.map(({ message }) => message),
      ['unknown key "__proto__" in top'],
    )
    assert.deepEqual(Object.keys(value.map), ['constructor'])
  })

  test('every problem is told at its place, and what is right is kept', () => {
    const { value, problems } = read(
      'size = -1\nmany = [{ id = "a" }, { idd = "b" }]\nmap x {\n  v = "y"\n}\non = 1\nname = "ok"\n',
    )
    assert.deepEqual(
      problems.map(({ message, position, key }) => [`${position?.line}:${position?.column}`, key, message]),
      [
        ['1:1', 'top.size', 'top.size: -1 is less than 1'],
        ['2:25', 'top.many.1.idd', 'unknown key "idd" in top.many.1; did you mean "id"?'],
        ['4:3', 'top.map.x.v', 'top.map.x.v must be a whole number, not a text'],
        ['6:1', 'top.on', 'top.on must be true or false, not the number 1'],
      ],
    )
    assert.equal(value.name, 'ok')
    assert.equal(value.size, 5)
  })

  test('a schema is also a table and a JSON Schema', () => {
    const document = { title: 'x.conf', sections: { top: schema }, plugins: {} }
    assert.deepEqual(
      schemaRows(document)
        .filter(({ key }) => key.startsWith('top'))
        .map(({ key, kind, defaultText }) => `${key}: ${kind} = ${defaultText}`),
      [
        'top.name: text = unset',
        'top.size: number = 5',
        'top.on: boolean = true',
        'top.list: list of texts = []',
        'top.inner.deep: text = unset',
        'top.many[].id: text = unset',
        'top.map."<label>".v: number = 0',
      ],
    )
    const json = schemaJson(document) as {
      properties: { top: { additionalProperties: boolean; properties: Record<string, object> } }
    }
    assert.equal(json.properties.top.additionalProperties, false)
    assert.equal((json.properties.top.properties.size as { minimum: number }).minimum, 1)
    assert.doesNotMatch(JSON.stringify(json), /defaultText|notBuilt|superseded/)
  })
})

test('the format of a text is found by its name and its first character', () => {
  assert.deepEqual(plainValue(parseConfigText('a = 1', 'x.conf')), { a: 1 })
  assert.deepEqual(plainValue(parseConfigText(' \n{"a": 1}', 'x.conf')), { a: 1 })
  assert.deepEqual(plainValue(parseConfigText('a: 1', 'x.YML')), { a: 1 })
  assert.throws(
    () => parseConfigText('a: 1', 'x.conf'),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError)
      assert.equal(error.code, 'ERR_CONFIG_SYNTAX')
      assert.equal(error.message, 'x.conf:1:2: unexpected character ":"')
      return true
    },
  )
})
