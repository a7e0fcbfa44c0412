// node bench/command-line.ts
// What a command takes from its start to its end, from the checkout and, after `npm run build`, as built. Medians of five after one
// that fills the compile cache. The cache is off for root, so root measures twice: as itself and, with the cache, as nobody.
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, repositoryRoot } from '../tests/support/cluster.ts'

const runs = 5
const nobody = 65_534

interface Way {
  readonly name: string
  readonly folder: string
  readonly uid: number | undefined
  readonly home: string
}

/** What runs, with the milliseconds of each of its runs. */
function time(way: Way, program: string, args: readonly string[]): number {
  const samples = Array.from({ length: runs + 1 }, () => {
    const started = performance.now()
    const { status, stderr } = spawnSync(process.execPath, [join(way.folder, `${program}.js`), ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: way.home },
      ...(way.uid === undefined ? {} : { uid: way.uid, gid: way.uid }),
    })
    if (status !== 0) throw new Error(`${way.name}: ${program} ${args.join(' ')} ended with ${status}: ${stderr}`)
    return performance.now() - started
  })
  const sorted = samples.slice(1).sort((a, b) => a - b)
  return sorted[Math.floor(runs / 2)] as number
}

const isRoot = process.getuid?.() === 0
const scratch = mkdtempSync(join(tmpdir(), 'plastron-command-line-'))
try {
  chmodSync(scratch, 0o755)
  await using cluster = await Cluster.start()
  await cluster.startAgent()

  const home = join(scratch, 'home')
  mkdirSync(home, { mode: 0o700 })
  const ways: Way[] = []
  const checkout = join(repositoryRoot, 'packages/plastron/bin')
  const built = join(repositoryRoot, 'packages/plastron/dist/bin')
  if (!existsSync(join(built, '../lib'))) throw new Error('run npm run build first')
  ways.push({ name: isRoot ? 'checkout, root (no cache)' : 'checkout', folder: checkout, uid: undefined, home })
  ways.push({ name: isRoot ? 'built, root (no cache)' : 'built', folder: built, uid: undefined, home })
  if (isRoot) {
    // Nobody needs a checkout of its own to keep a cache in, and the sockets of the cluster to ask.
    const copy = join(scratch, 'checkout')
    cpSync(join(repositoryRoot, 'packages'), join(copy, 'packages'), { recursive: true })
    mkdirSync(join(copy, 'node_modules/@plastron'), { recursive: true })
    for (const name of ['@bufbuild', '@grpc', 'koffi'])
      if (existsSync(join(repositoryRoot, 'node_modules', name)))
        cpSync(join(repositoryRoot, 'node_modules', name), join(copy, 'node_modules', name), { recursive: true })
    cpSync(join(repositoryRoot, 'node_modules/@plastron'), join(copy, 'node_modules/@plastron'), {
      recursive: true,
      verbatimSymlinks: true,
    })
    mkdirSync(join(copy, 'node_modules/.cache'))
    for (const path of [home, join(copy, 'node_modules/.cache')]) chownSync(path, nobody, nobody)
    openTo(nobody, cluster)
    ways.push({ name: 'checkout, nobody (cache)', folder: join(copy, 'packages/plastron/bin'), uid: nobody, home })
    ways.push({ name: 'built, nobody (cache)', folder: built, uid: nobody, home })
  }

  const commands: readonly (readonly [string, readonly string[]])[] = [
    ['plastron-server', ['--version']],
    ['plastron-server', ['bundle', 'count', '-socketPath', cluster.serverSocket]],
    ['plastron-server', ['entry', 'count', '-socketPath', cluster.serverSocket]],
    ['plastron-agent', ['debug', 'getinfo', '-socketPath', cluster.agentAdminSocket]],
  ]
  process.stdout.write(`| command | ${ways.map(way => way.name).join(' | ')} |\n`)
  process.stdout.write(`| --- | ${ways.map(() => '---').join(' | ')} |\n`)
  for (const [program, args] of commands) {
    const title = [program, ...args.filter(argument => !argument.startsWith('/') && argument !== '-socketPath')].join(
      ' ',
    )
    const cells = ways.map(way => `${time(way, program, args).toFixed(0)} ms`)
    process.stdout.write(`| \`${title}\` | ${cells.join(' | ')} |\n`)
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

/** Lets another user reach the sockets of a throwaway cluster. */
function openTo(uid: number, cluster: Cluster): void {
  chmodSync(cluster.folder, 0o711)
  for (const path of [
    cluster.path('server'),
    cluster.serverSocket,
    cluster.path('agent'),
    cluster.path('agent', 'private'),
    cluster.agentAdminSocket,
  ])
    chownSync(path, uid, uid)
}
