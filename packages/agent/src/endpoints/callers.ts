import { type Call, type Clock, GrpcError, type Logger, type UnixPeer } from '@plastron/runtime'
import { isAgentError, reasonOf } from '../agent-error.ts'
import { attestWorkload, attestWorkloadNow } from '../attestation/workload/attest-workload.ts'
import { type Selector, selectorKey } from '../entries/selector.ts'
import { type ProcessOwner, parseProcStatus } from '../plugins/workload-attestor/unix/proc-status.ts'
import type { ProcessSnapshot, WorkloadAttestor } from '../plugins/workload-attestor/workload-attestor.ts'

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
  /** Reads `/proc/PID/status` of a caller. Default: the real one. */
  readonly readStatus?: ((peer: UnixPeer) => string) | undefined
}

/** Finds out who makes a call. */
export class Callers {
  readonly #options: CallersOptions
  readonly #readStatus: (peer: UnixPeer) => string

  constructor(options: CallersOptions) {
    this.#options = options
    this.#readStatus = options.readStatus ?? (({ process: held }) => held.status())
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
    const now = new Snapshot(peer, this.#readStatus)
    let selectors = attestWorkloadNow(now, this.#options.attestors)
    if (selectors === undefined) {
      selectors = await this.#attest(peer, call.signal)
      this.#assertSame(peer, new Snapshot(peer, this.#readStatus))
    } else {
      // No time has passed: what the attestors saw is what counts.
      this.#assertSame(peer, now)
    }
    return { pid: peer.pid, selectors, selectorKeys: keysOf(selectors), isSelf: peer.pid === process.pid }
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
  #assertSame({ pid, uid, gid, process: held }: UnixPeer, snapshot: ProcessSnapshot): void {
    let reason: string
    try {
      const owner = snapshot.owner()
      if (owner.uid === uid && owner.gid === gid && held.isAlive()) return
      reason = held.isAlive() ? 'it acts as another user or group now' : 'it has ended'
    } catch (error) {
      reason = reasonOf(error)
    }
    this.#options.log.warn('The process that connected cannot be verified any more', { pid, error: reason })
    throw new GrpcError('UNAUTHENTICATED', 'could not verify existence of the original caller')
  }
}

/** Reads the status of a caller when it is first asked for, and once. */
class Snapshot implements ProcessSnapshot {
  readonly #peer: UnixPeer
  readonly #readStatus: (peer: UnixPeer) => string
  #owner: ProcessOwner | undefined

  constructor(peer: UnixPeer, readStatus: (peer: UnixPeer) => string) {
    this.#peer = peer
    this.#readStatus = readStatus
  }

  get pid(): number {
    return this.#peer.pid
  }

  owner(): ProcessOwner {
    this.#owner ??= parseProcStatus(this.#readStatus(this.#peer))
    return this.#owner
  }
}

const keys = new WeakMap<readonly Selector[], ReadonlySet<string>>()

/** The same set for the same list, so that what is derived from the set can be remembered with it. */
function keysOf(selectors: readonly Selector[]): ReadonlySet<string> {
  let found = keys.get(selectors)
  if (found === undefined) {
    found = new Set(selectors.map(selectorKey))
    keys.set(selectors, found)
  }
  return found
}
