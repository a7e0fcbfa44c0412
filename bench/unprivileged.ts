import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../tests/support/cluster.ts'

const nobody = 65_534

/**
 * Somebody who is not root, since root gets no compile cache: this user, or nobody when this user is root. Has a home of its own and, for
 * nobody, a copy of the checkout to keep a cache in.
 */
export class Unprivileged implements Disposable {
  /** Undefined: this user. */
  readonly uid: number | undefined
  readonly home: string
  readonly #scratch: string
  #checkout: string | undefined

  constructor() {
    this.#scratch = mkdtempSync(join(tmpdir(), 'plastron-bench-user-'))
    chmodSync(this.#scratch, 0o711)
    this.uid = process.getuid?.() === 0 ? nobody : undefined
    this.home = join(this.#scratch, 'home')
    mkdirSync(this.home, { mode: 0o700 })
    this.#give(this.home)
  }

  /** The root of a checkout that can keep a compile cache. */
  get checkout(): string {
    this.#checkout ??= this.uid === undefined ? repositoryRoot : this.#copyCheckout()
    return this.#checkout
  }

  /** Lets the user reach a socket in two folders of its own, below a folder that is otherwise closed. */
  openSocket(path: string, root: string): void {
    if (this.uid === undefined) return
    this.#give(path)
    for (let folder = dirname(path); folder !== root; folder = dirname(folder)) this.#give(folder)
    chmodSync(root, 0o711)
  }

  [Symbol.dispose](): void {
    rmSync(this.#scratch, { recursive: true, force: true })
  }

  #copyCheckout(): string {
    const copy = join(this.#scratch, 'checkout')
    cpSync(join(repositoryRoot, 'packages'), join(copy, 'packages'), {
      recursive: true,
      filter: path => !path.endsWith('/dist'),
    })
    for (const name of ['@bufbuild', '@grpc', 'koffi', '@plastron']) {
      const from = join(repositoryRoot, 'node_modules', name)
      if (existsSync(from)) cpSync(from, join(copy, 'node_modules', name), { recursive: true, verbatimSymlinks: true })
    }
    mkdirSync(join(copy, 'node_modules/.cache'))
    this.#give(join(copy, 'node_modules/.cache'))
    return copy
  }

  #give(path: string): void {
    if (this.uid !== undefined) chownSync(path, this.uid, this.uid)
  }
}
