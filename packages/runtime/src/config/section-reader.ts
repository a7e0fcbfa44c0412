import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { nearestName } from './nearest.ts'
import type { ConfigProblem, Position } from './problem.ts'
import { inputSchema, keyMeta, members } from './schema-kinds.ts'
import { type ConfigItem, type ConfigNode, integerValue, type ObjectNode } from './tree.ts'

/** Something to tell the operator about an accepted configuration. */
export interface ConfigNotice {
  /** How it is logged. */
  readonly level: 'info' | 'warn'
  /** One sentence. */
  readonly message: string
  /** Marks what will stop working: logged as `alert=true alert_type=deprecated_config`. */
  readonly deprecated?: boolean | undefined
}

export interface SectionOptions {
  /** Whether a number that is 0 counts as not set, as SPIRE has it for most keys. */
  readonly zeroIsUnset: boolean
  /** Whether an empty text counts as not set; it does, except in lists. */
  readonly emptyIsUnset?: boolean | undefined
}

/** Collects what is wrong while the sections of one file are read. */
export class ConfigReader {
  /** Path of the file, for problems. */
  readonly source: string
  /** In the order in which they were noted; see {@link sortedProblems}. */
  readonly problems: ConfigProblem[] = []
  /** In the order in which they were noted. */
  readonly notices: ConfigNotice[] = []
  readonly #positions = new Map<string, Position>()
  readonly #sources = new Map<string, string>()
  readonly #faulty = new Set<string>()

  /** @param source - path of the file, or what stands for it in problems. */
  constructor(source: string) {
    this.source = source
  }

  /** Says that the value under `path` came from elsewhere than the file. */
  setSource(path: string, source: string): void {
    this.#sources.set(path, source)
  }

  /** Says where a section of a free name stands. */
  place(path: string, position: Position): void {
    this.#positions.set(path, position)
  }

  /** Whether the file sets the key. */
  isSet(path: string): boolean {
    return this.#positions.has(path)
  }

  /** Where the key of `path`, or of the nearest section around it, stands. */
  positionOf(path: string): Position | undefined {
    for (let prefix = path; prefix !== ''; prefix = parentOf(prefix)) {
      const position = this.#positions.get(prefix)
      if (position) return position
    }
    return undefined
  }

  /** Notes what is wrong with the key `path`. Only the first problem of a key is kept. */
  problem(path: string, message: string, position: Position | undefined = this.positionOf(path)): void {
    if (this.#faulty.has(path)) return
    this.#faulty.add(path)
    const source = this.#sources.get(path)
    this.problems.push(
      source === undefined ? { message, source: this.source, position, key: path } : { message, source, key: path },
    )
  }

  /** Whether something is wrong with the key or with what it lies in. */
  isFaulty(path: string): boolean {
    for (let prefix = path; prefix !== ''; prefix = parentOf(prefix)) if (this.#faulty.has(prefix)) return true
    return false
  }

  /** Notes `message` at `path` if `condition` holds and none of the keys concerned is wrong by itself. */
  check(condition: boolean, path: string, message: string, concerned: readonly string[] = []): void {
    if (condition && ![path, ...concerned].some(key => this.isFaulty(key))) this.problem(path, message)
  }

  /** The problems in the order of the text; those without a place come first. */
  sortedProblems(): ConfigProblem[] {
    const rank = ({ position }: ConfigProblem) => (position === undefined ? 0 : position.line * 1e6 + position.column)
    return this.problems.toSorted((a, b) => rank(a) - rank(b))
  }

  /**
   * Notes something to tell the operator if the configuration is accepted.
   * @param deprecated - marks what will stop working.
   */
  notice(level: ConfigNotice['level'], message: string, deprecated = false): void {
    this.notices.push(deprecated ? { level, message, deprecated } : { level, message })
  }

  /**
   * Reads all blocks of one section into a plain object in the schema's spelling, with every problem noted. Keys are matched in any case, as
   * HCL1 does.
   */
  plain(
    schema: z.ZodObject,
    blocks: readonly ConfigNode[],
    path: string,
    options: SectionOptions,
  ): Record<string, unknown> {
    const value = this.#project(blocks, schema, path, options)
    return (value ?? {}) as Record<string, unknown>
  }

  /**
   * Applies the schema to a plain object: defaults and values of the right kind. Keys that the schema refuses are noted and get their default.
   * Every key of `schema` must have a default or be optional.
   */
  accept<Schema extends z.ZodObject>(schema: Schema, plain: Record<string, unknown>, path: string): z.output<Schema> {
    let accepted = structuredClone(plain)
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const result = schema.safeParse(accepted)
      if (result.success) return result.data
      accepted = structuredClone(accepted)
      for (const issue of result.error.issues) {
        const keys = issue.path.map(String)
        const key = join(path, ...keys)
        this.problem(key, `${key}: ${issue.message}`)
        forget(accepted, keys)
      }
    }
    throw new TypeError(`the schema of ${path} has keys without a default`)
  }

  /** {@link plain} and {@link accept} in one. */
  section<Schema extends z.ZodObject>(
    schema: Schema,
    blocks: readonly ConfigNode[],
    path: string,
    options: SectionOptions,
  ): z.output<Schema> {
    return this.accept(schema, this.plain(schema, blocks, path, options), path)
  }

  /** Splits the top of a file into its sections; anything else than `known` is a problem. */
  sections(top: ObjectNode, known: readonly string[]): Map<string, ConfigNode[]> {
    const found = new Map<string, ConfigNode[]>()
    for (const item of top.items) {
      const name = this.#knownKey(item, known, '')
      if (name === undefined) continue
      if (!this.#positions.has(name)) this.#positions.set(name, item.position)
      if (item.value.kind === 'null') continue
      append(found, name, item.value)
    }
    return found
  }

  #knownKey(item: ConfigItem, known: readonly string[], path: string): string | undefined {
    if (known.includes(item.key)) return item.key
    const folded = item.key.toLowerCase()
    const name = known.find(candidate => candidate.toLowerCase() === folded)
    if (name !== undefined) return name
    const nearest = nearestName(item.key, known)
    const place = path === '' ? 'at the top' : `in ${path}`
    const hint = nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`
    this.problem(join(path, item.key), `unknown key ${JSON.stringify(item.key)} ${place}${hint}`, item.position)
    return undefined
  }

  /** What all nodes given for one key mean together. */
  #project(nodes: readonly ConfigNode[], schema: z.ZodType, path: string, options: SectionOptions): unknown {
    const input = inputSchema(schema)
    if (input instanceof z.ZodObject) return this.#projectObject(nodes, input, path, options)
    if (input instanceof z.ZodRecord) return this.#projectRecord(nodes, input, path, options)
    if (input instanceof z.ZodArray) return this.#projectList(nodes, input, path)
    if (nodes.length > 1 && !(input instanceof z.ZodUnknown)) {
      const lines = nodes.slice(0, 20).map(({ position }) => position.line)
      this.notice(
        'warn',
        `${this.source}: ${path} is set ${nodes.length} times (lines ${lines.join(', ')}): the last one counts`,
      )
    }
    const node = nodes.at(-1)
    return node === undefined ? undefined : this.#projectScalar(node, input, path, options)
  }

  #objects(nodes: readonly ConfigNode[], path: string): ObjectNode[] {
    return nodes.flatMap(node => {
      if (node.kind === 'object') return [node]
      // A list of objects is how JSON repeats a block.
      if (node.kind === 'list' && node.elements.every(({ kind }) => kind === 'object'))
        return node.elements as ObjectNode[]
      if (node.kind !== 'null') this.problem(path, `${path} must be a block, not ${kindText(node)}`, node.position)
      return []
    })
  }

  #projectObject(nodes: readonly ConfigNode[], schema: z.ZodObject, path: string, options: SectionOptions): unknown {
    const keys = members(schema)
    const known = [...keys.keys()]
    const given = new Map<string, ConfigNode[]>()
    const objects = this.#objects(nodes, path)
    if (objects.length === 0) return undefined
    for (const item of objects.flatMap(({ items }) => items)) {
      const name = this.#knownKey(item, known, path)
      if (name === undefined || item.value.kind === 'null') continue
      append(given, name, item.value)
      this.#positions.set(join(path, name), item.position)
    }
    const result: Record<string, unknown> = {}
    for (const [name, values] of given) {
      const member = keys.get(name)
      if (member === undefined) continue
      const value = this.#project(values, member, join(path, name), options)
      if (value === undefined) continue
      result[name] = value
      this.#checkMeta(member, value, join(path, name))
    }
    return result
  }

  #checkMeta(schema: z.ZodType, value: unknown, path: string): void {
    const { notBuilt, superseded } = keyMeta(schema)
    if (!notBuilt && superseded === undefined) return
    const byDefault = schema.safeParse(undefined)
    const given = schema.safeParse(value)
    if (byDefault.success && given.success && isDeepStrictEqual(byDefault.data, given.data)) return
    if (superseded !== undefined) {
      this.notice('info', `${this.source}: ${path} has no effect: ${superseded}`)
      return
    }
    const hasDefault = byDefault.success && byDefault.data !== undefined && typeof byDefault.data !== 'object'
    const advice = hasDefault ? `leave it out or set it to ${JSON.stringify(byDefault.data)}` : 'leave it out'
    this.problem(path, `${path} is not built in this version of Plastron: ${advice}`)
  }

  #projectRecord(nodes: readonly ConfigNode[], schema: z.ZodRecord, path: string, options: SectionOptions): unknown {
    const result = new Map<string, unknown>()
    const given = new Map<string, ConfigNode[]>()
    for (const item of this.#objects(nodes, path).flatMap(({ items }) => items)) {
      append(given, item.key, item.value)
      this.#positions.set(join(path, item.key), item.position)
    }
    for (const [key, values] of given)
      result.set(key, this.#project(values, schema.valueType as z.ZodType, join(path, key), options))
    return Object.fromEntries(result)
  }

  #projectList(nodes: readonly ConfigNode[], schema: z.ZodArray, path: string): unknown {
    const element = schema.element as z.ZodType
    const ofObjects = inputSchema(element) instanceof z.ZodObject
    const elements = nodes.flatMap(node => {
      if (node.kind === 'list') return node.elements
      if (ofObjects && node.kind === 'object') return [node]
      this.problem(path, `${path} must be a list, not ${kindText(node)}`, node.position)
      return []
    })
    return elements.map((node, index) => {
      const at = join(path, String(index))
      this.#positions.set(at, node.position)
      return this.#project([node], element, at, { zeroIsUnset: false, emptyIsUnset: false })
    })
  }

  #projectScalar(node: ConfigNode, schema: z.ZodType, path: string, options: SectionOptions): unknown {
    const wrong = (wanted: string) => {
      this.problem(path, `${path} must be ${wanted}, not ${kindText(node)}`, this.positionOf(path) ?? node.position)
      return undefined
    }
    if (schema instanceof z.ZodUnknown) return node
    if (schema instanceof z.ZodBoolean) return node.kind === 'boolean' ? node.value : wrong('true or false')
    if (schema instanceof z.ZodNumber) {
      const text = node.kind === 'integer' ? node.text : node.kind === 'string' ? node.value : undefined
      if (text === undefined || !/^[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$/.test(text))
        return wrong('a whole number')
      const value = integerValue(text)
      if (!Number.isSafeInteger(value)) return wrong('a whole number of at most 53 bits')
      return value === 0 && options.zeroIsUnset ? undefined : value
    }
    if (node.kind === 'integer') return node.text
    if (node.kind !== 'string') return wrong('a text')
    return node.value === '' && options.emptyIsUnset !== false ? undefined : node.value
  }
}

function append(lists: Map<string, ConfigNode[]>, key: string, node: ConfigNode): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [node])
  else list.push(node)
}

/** Joins keys to a path; a key with dots stays one word in quotes. */
export function join(...keys: readonly string[]): string {
  return keys
    .filter(key => key !== '')
    .map((key, index) => (index > 0 && key.includes('.') ? JSON.stringify(key) : key))
    .join('.')
}

function parentOf(path: string): string {
  if (path.endsWith('"')) return path.slice(0, Math.max(0, path.lastIndexOf('."')))
  return path.slice(0, Math.max(0, path.lastIndexOf('.')))
}

function forget(value: Record<string, unknown>, keys: readonly string[]): void {
  const [first = '', ...rest] = keys
  const inner = value[first]
  // An element of a list cannot be taken out without moving the others: the whole list goes.
  if (rest.length > 0 && typeof inner === 'object' && inner !== null && !Array.isArray(inner))
    forget(inner as Record<string, unknown>, rest)
  else delete value[first]
}

function kindText(node: ConfigNode): string {
  switch (node.kind) {
    case 'object':
      return 'a block'
    case 'list':
      return 'a list'
    case 'string':
      return 'a text'
    case 'integer':
    case 'float':
      return `the number ${node.text.slice(0, 40)}`
    case 'boolean':
      return String(node.value)
    case 'null':
      return 'null'
  }
}
