import type { Contestant } from './line.ts'
import type { Program } from './program.ts'
import { StartedTarget, type Target } from './target.ts'

/** A program whose server and agent are started when a line first asks for them. Whoever made it disposes it. */
export class StartedContestant implements Contestant, AsyncDisposable {
  readonly name: string
  readonly program: Program
  #shared: Promise<StartedTarget> | undefined

  constructor(program: Program) {
    this.name = program.name
    this.program = program
  }

  shared(): Promise<Target> {
    this.#shared ??= StartedTarget.start(this.program, { agent: true })
    return this.#shared
  }

  fresh(options: { readonly agent?: boolean } = {}): Promise<StartedTarget> {
    return StartedTarget.start(this.program, options)
  }

  /** Stops the shared server and agent; the next line that asks gets new ones. */
  async reset(): Promise<void> {
    const shared = this.#shared
    this.#shared = undefined
    await (await shared)?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset()
  }
}

/** Something that runs already and is known by its addresses. */
export function runningContestant(target: Target): Contestant {
  return {
    name: target.name,
    program: undefined,
    shared: async () => target,
    fresh: () => {
      throw new Error(`${target.name} was given by address and cannot be started`)
    },
  }
}
