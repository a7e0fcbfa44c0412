// Fails when an import points up a floor, sideways between siblings, into another package's inside, or (inside server
// and agent) from a room into one it may not know. ARCHITECTURE.md draws the same rules.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Which packages each package may import. */
const packages: Record<string, readonly string[]> = {
  pki: [],
  api: [],
  spiffe: ['pki', 'api'],
  runtime: ['pki', 'api', 'spiffe'],
  server: ['pki', 'api', 'spiffe', 'runtime'],
  agent: ['pki', 'api', 'spiffe', 'runtime'],
  plastron: ['pki', 'api', 'spiffe', 'runtime', 'server', 'agent'],
}

/** Which rooms each room of a package may import; files directly in src/ are the composition root and may import all. */
const rooms: Record<string, Record<string, readonly string[]>> = {
  server: {
    config: [],
    datastore: ['config'],
    registration: ['datastore'],
    encoding: ['datastore'],
    sync: ['datastore', 'registration', 'encoding'],
    plugins: ['config'],
    issuance: ['plugins', 'authority'],
    authority: ['datastore', 'plugins', 'config', 'issuance'],
    attestation: ['datastore', 'plugins', 'issuance', 'registration'],
    api: ['datastore', 'registration', 'encoding', 'sync', 'authority', 'issuance', 'attestation', 'plugins', 'config'],
    endpoints: ['api', 'registration', 'datastore', 'authority', 'issuance', 'config'],
    cli: ['config'],
  },
  agent: {
    config: [],
    entries: [],
    renewal: [],
    storage: [],
    plugins: ['config', 'entries', 'storage'],
    upstream: ['config', 'entries'],
    attestation: ['plugins', 'storage', 'config', 'upstream', 'entries', 'renewal'],
    identity: ['upstream', 'entries', 'renewal', 'plugins', 'config'],
    endpoints: ['identity', 'attestation', 'upstream', 'entries', 'plugins', 'config'],
    cli: ['config'],
  },
}

/** Files directly in src/ that every room may import: they import nothing themselves. Only the command `run` knows the composition root. */
function isCommon(name: string): boolean {
  return name.endsWith('-error.ts')
}

const problems: string[] = []
const graph = new Map<string, Set<string>>()

for (const file of globSync('packages/*/src/**/*.ts', { cwd: root, exclude: ['**/gen/**', '**/node_modules/**'] })) {
  const [, owner = '', , ...inside] = file.split('/')
  const isTest = /\.test\.ts$|\/testing\//.test(file)
  const text = readFileSync(join(root, file), 'utf8')
  for (const match of text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*(?:\{[^}]*\}[^'"\n;]*)?from\s+'([^']+)'|import\('([^']+)'\)/g,
  )) {
    const specifier = match[1] ?? match[2] ?? ''
    const line = text.slice(0, match.index).split('\n').length + (match[0].startsWith('\n') ? 1 : 0)
    const place = `${file}:${line}`
    const other = /^@plastron\/([^/]+)/.exec(specifier)?.[1]
    if (other !== undefined) {
      if (other === owner) problems.push(`${place}: imports its own package by name (${specifier})`)
      else if (!packages[owner]?.includes(other)) problems.push(`${place}: ${owner} may not import ${specifier}`)
      continue
    }
    if (!specifier.startsWith('.')) continue
    const target = relative(root, normalize(join(root, dirname(file), specifier)))
    if (!target.startsWith(`packages/${owner}/`)) {
      problems.push(`${place}: reaches into another package by path (${specifier})`)
      continue
    }
    if (isTest) continue
    if (!graph.has(file)) graph.set(file, new Set())
    graph.get(file)?.add(target)
    const allowed = rooms[owner]
    const from = inside.length > 1 ? inside[0] : undefined
    const targetInside = target.split('/').slice(3)
    const to = targetInside.length > 1 ? targetInside[0] : undefined
    if (allowed === undefined || from === undefined || from === to) continue
    const permitted = allowed[from]
    if (permitted === undefined)
      problems.push(
        `${place}: the room ${owner}/${from} has no rule in ${relative(root, fileURLToPath(import.meta.url))}`,
      )
    else if (to === undefined) {
      if (!isCommon(targetInside[0] ?? '') && !(from === 'cli' && inside.at(-1) === 'run.ts')) {
        problems.push(`${place}: a room may not import the composition root (${specifier})`)
      }
    } else if (!permitted.includes(to)) problems.push(`${place}: ${owner}/${from} may not import ${owner}/${to}`)
  }
}

// Circles between files, whatever room they are in.
const done = new Set<string>()
function visit(file: string, path: string[]): void {
  const at = path.indexOf(file)
  if (at >= 0) {
    problems.push(`circle: ${[...path.slice(at), file].join(' -> ')}`)
    return
  }
  if (done.has(file)) return
  for (const next of graph.get(file) ?? []) visit(next, [...path, file])
  done.add(file)
}
for (const file of graph.keys()) visit(file, [])

if (problems.length > 0) {
  process.stderr.write(`${[...new Set(problems)].join('\n')}\n${problems.length} import problems\n`)
  process.exitCode = 1
} else process.stdout.write(`imports point down in ${graph.size} files\n`)
