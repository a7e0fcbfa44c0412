import { type Clock, DeadlineError, untilAborted } from '@plastron/runtime'
import { AgentError, reasonOf } from '../../agent-error.ts'
import { type Selector, selectorKey } from '../../entries/selector.ts'
import {
  MAX_SELECTORS,
  type ProcessSnapshot,
  type WorkloadAttestor,
} from '../../plugins/workload-attestor/workload-attestor.ts'

/** How long one attestor may take. */
const ATTESTOR_DEADLINE_MS = 5000

/** What {@link attestWorkload} needs. */
export interface AttestWorkloadOptions {
  readonly attestors: readonly WorkloadAttestor[]
  readonly clock: Clock
  /** Told about each attestor that failed while another one succeeded. Selector values are not passed. */
  readonly onFailure: (attestor: string, reason: unknown) => void
  readonly signal: AbortSignal
}

/**
 * Asks all attestors about a process at once, each within its own deadline, and returns what they found, without duplicates.
 *
 * An attestor that fails is left out (AGT-ATT-005). When all of them fail, that is an error and never an empty answer: a workload about which
 * nothing could be found out is not a workload that has no selectors.
 *
 * @throws {@link AgentError} `ERR_AGENT_WORKLOAD_ATTESTATION`
 * @throws the signal's reason when the caller has gone (AGT-ATT-006)
 */
export async function attestWorkload(pid: number, options: AttestWorkloadOptions): Promise<readonly Selector[]> {
  const { attestors, onFailure, signal } = options
  const outcomes = await askAll(pid, options)
  signal.throwIfAborted()
  const found: (readonly Selector[])[] = []
  const failures: { attestor: string; reason: unknown }[] = []
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') found.push(outcome.value)
    else failures.push({ attestor: attestors[index]?.name ?? '', reason: outcome.reason })
  }
  if (failures.length === attestors.length) {
    const reasons = failures.map(({ attestor, reason }) => `${attestor}: ${reasonOf(reason)}`).join('; ')
    throw new AgentError('ERR_AGENT_WORKLOAD_ATTESTATION', `every workload attestor failed: ${reasons}`, {
      cause: new AggregateError(failures.map(({ reason }) => reason)),
    })
  }
  for (const { attestor, reason } of failures) onFailure(attestor, reason)
  return mergeSelectors(found)
}

/**
 * The same at once, if every attestor can answer without waiting and none fails. Undefined if not: {@link attestWorkload} then finds out, and tells
 * who failed. Costs a small part of it. The same findings are usually the same list.
 */
export function attestWorkloadNow(
  process: ProcessSnapshot,
  attestors: readonly WorkloadAttestor[],
): readonly Selector[] | undefined {
  const found: (readonly Selector[])[] = []
  try {
    for (const attestor of attestors) {
      const selectors = attestor.attestNow?.(process)
      if (selectors === undefined || selectors.length > MAX_SELECTORS) return undefined
      found.push(selectors)
    }
  } catch {
    return undefined
  }
  const [first] = found
  if (first === undefined) return undefined
  return found.length === 1 ? distinct(first) : mergeSelectors(found)
}

/** Lists without duplicates, by the list as an attestor gave it. */
const distinctOf = new WeakMap<readonly Selector[], readonly Selector[]>()

function distinct(list: readonly Selector[]): readonly Selector[] {
  let kept = distinctOf.get(list)
  if (kept === undefined) {
    kept = mergeSelectors([list])
    distinctOf.set(list, kept)
  }
  return kept
}

function mergeSelectors(lists: readonly (readonly Selector[])[]): readonly Selector[] {
  const found = new Map<string, Selector>()
  for (const list of lists) for (const selector of list) found.set(selectorKey(selector), selector)
  return [...found.values()]
}

/** Asks all at the same moment, so that one timer is the deadline of each. */
async function askAll(
  pid: number,
  { attestors, clock, signal }: AttestWorkloadOptions,
): Promise<PromiseSettledResult<readonly Selector[]>[]> {
  const limit = new AbortController()
  const end = (reason: unknown) => limit.abort(reason)
  const gone = () => end(signal.reason)
  if (signal.aborted) gone()
  else signal.addEventListener('abort', gone, { once: true })
  const finished = new AbortController()
  clock.sleep(ATTESTOR_DEADLINE_MS, finished.signal).then(
    () => end(new DeadlineError(`it took longer than ${ATTESTOR_DEADLINE_MS} ms`)),
    () => undefined,
  )
  try {
    return await Promise.allSettled(
      attestors.map(attestor => untilAborted(askOne(attestor, pid, limit.signal), limit.signal)),
    )
  } finally {
    signal.removeEventListener('abort', gone)
    finished.abort(FINISHED)
  }
}

/** Made once: an abort without a reason makes a DOMException with a stack each time. */
const FINISHED = new Error('all attestors have answered')

async function askOne(attestor: WorkloadAttestor, pid: number, signal: AbortSignal): Promise<readonly Selector[]> {
  const selectors = await attestor.attest(pid, signal)
  if (selectors.length > MAX_SELECTORS) {
    throw new Error(`${selectors.length} selectors, more than the ${MAX_SELECTORS} that one attestor may give`)
  }
  return selectors
}
