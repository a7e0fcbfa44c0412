import assert from 'node:assert/strict'
import { localauthorityV1 } from '@plastron/api'
import type { SocketClient } from '@plastron/runtime/cli'

const { method } = localauthorityV1.LocalAuthority

interface Steps {
  state(): Promise<{ readonly [slot in Slot]?: { readonly authorityId: string } | undefined }>
  prepare(): Promise<{ readonly preparedAuthority?: { readonly authorityId: string } | undefined }>
  activate(authorityId: string): Promise<unknown>
}
type Slot = 'active' | 'prepared'

const kinds: Readonly<Record<string, (admin: SocketClient) => Steps>> = {
  x509: admin => ({
    state: () => admin.call(method.getX509AuthorityState, {}),
    prepare: () => admin.call(method.prepareX509Authority, {}),
    activate: authorityId => admin.call(method.activateX509Authority, { authorityId }),
  }),
  jwt: admin => ({
    state: () => admin.call(method.getJWTAuthorityState, {}),
    prepare: () => admin.call(method.prepareJWTAuthority, {}),
    activate: authorityId => admin.call(method.activateJWTAuthority, { authorityId }),
  }),
}

/**
 * Replaces the signing authorities as an operator does: one step prepares the next ones, a later one, when everybody has heard of them, activates
 * them. {@link verify} must find every step that was acknowledged.
 */
export class AuthorityRotator {
  readonly #acknowledged = new Map<string, { readonly slot: Slot; readonly id: string }>()

  /** The next step of both kinds, as far as it gets. */
  async step(admin: SocketClient): Promise<void> {
    await Promise.all(Object.entries(kinds).map(([kind, steps]) => this.#step(kind, steps(admin))))
  }

  /** What was acknowledged since the last time is there. */
  async verify(admin: SocketClient): Promise<void> {
    for (const [kind, { slot, id }] of this.#acknowledged) {
      const state = await kinds[kind]?.(admin).state()
      assert.equal(state?.[slot]?.authorityId, id, `the ${slot} ${kind} authority`)
    }
    this.#acknowledged.clear()
  }

  async #step(kind: string, steps: Steps): Promise<void> {
    try {
      const { prepared } = await steps.state()
      if (prepared?.authorityId) {
        await steps.activate(prepared.authorityId)
        this.#acknowledged.set(kind, { slot: 'active', id: prepared.authorityId })
      } else {
        const made = await steps.prepare()
        this.#acknowledged.set(kind, { slot: 'prepared', id: made.preparedAuthority?.authorityId ?? '' })
      }
    } catch {
      // The server is gone: both outcomes are right, and the next step goes on from whichever it is.
    }
  }
}
