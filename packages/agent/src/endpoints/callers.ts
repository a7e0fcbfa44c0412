import { readFileSync } from 'node:fs'
import { type Call, type Clock, GrpcError, type Logger, type UnixPeer } from '@plastron/runtime'
import { isAgentError, reasonOf } from '../agent-error.ts'
import { attestWorkload } from '../attestation/workload/attest-workload.ts'
import { type Selector, selectorKey } from '../entries/selector.ts'
import { parseProcStatus } from '../plugins/workload-attestor/unix/proc-status.ts'
import type { WorkloadAttestor } from '../plugins/workload-attestor/workload-attestor.ts'

/** A workload that calls. */
export interface Caller {
  readonly pid: number
  readonly selectors: readonly Selector[]
  readonly selectorKeys: ReadonlySet<string>
  /** True for the agent's own calls. */
  readonly isSelf: boolean
}

/** What {@link Callers} works with. */
export interface CallersOptions {
  readonly attestors: readonly WorkloadAttestor[]
  readonly clock: Clock
  readonly log: Logger
  /** Reads `/proc/PID/status`. Default: the real one. */
  readonly readStatus?: ((pid: number) => string) | undefined
}

/** Finds out who makes a call. */
export class Callers {
  readonly #options: CallersOptions
  readonly #readStatus: (pid: number) => string

  constructor(options: CallersOptions) {
    this.#options = options
    this.#readStatus = options.readStatus ?? (pid => readFileSync(`/proc/${pid}/status`, 'utf8'))
  }

  /**
   * Attests the process that opened the connection of a call (AGT-WL-005: once for each call). What was found counts only if the very process
   * that connected was alive until the end, and still acts as the user and group that it connected as.
   *
   * @throws {GrpcError} `UNAUTHENTICATED`, `UNAVAILABLE`
   */
  async identify(call: Call): Promise<Caller> {
    const { peer } = call
    if (peer.kind !== 'unix') throw new GrpcError('UNAUTHENTICATED', 'the caller is not a local process')
    const selectors = await this.#attest(peer, call.signal)
    this.#assertSame(peer)
    return {
      pid: peer.pid,
      selectors,
      selectorKeys: new Set(selectors.map(selectorKey)),
      isSelf: peer.pid === process.pid,
    }
  }

  async #attest(peer: UnixPeer, signal: AbortSignal): Promise<readonly Selector[]> {
    const { attestors, clock, log } = this.#options
    try {
      return await attestWorkload(peer.pid, {
        attestors,
        clock,
        signal,
        onFailure: (attestor, reason) =>
          log.error('A workload attestor failed', { attestor, pid: peer.pid, error: reasonOf(reason) }),
      })
    } catch (error) {
      if (!isAgentError(error, 'ERR_AGENT_WORKLOAD_ATTESTATION')) throw error
      log.error('Workload attestation failed', { pid: peer.pid, error: error.message })
      throw new GrpcError('UNAVAILABLE', 'workload attestation failed', { cause: error })
    }
  }

  /** A setuid program that inherited the connection is the same process, but not the one that connected. */
  #assertSame({ pid, uid, gid, process: held }: UnixPeer): void {
    let reason: string
    try {
      const owner = parseProcStatus(this.#readStatus(pid))
      if (owner.uid === uid && owner.gid === gid && held.isAlive()) return
      reason = held.isAlive() ? 'it acts as another user or group now' : 'it has ended'
    } catch (error) {
      reason = reasonOf(error)
    }
    this.#options.log.warn('The process that connected cannot be verified any more', { pid, error: reason })
    throw new GrpcError('UNAUTHENTICATED', 'could not verify existence of the original caller')
  }
}
