import { type Clock, GrpcError, type Metrics } from '@plastron/runtime'
import { Lane, type WaitingWork } from './admission-lane.ts'
import type { SigningClaim } from './signing-claim.ts'

/** What an {@link Admission} is made from. Numbers are of documents. */
export interface AdmissionOptions {
  readonly clock: Clock
  readonly metrics: Metrics
  /** Worked on at once. About 16 for each core: the thread pool then always finds work without being woken, which costs a seventh of a batch's time when it is 4, and what waits there in no order is done within some milliseconds. */
  readonly maxInFlight: number
  /** Waiting at most, of all callers. Default 8,192. */
  readonly maxWaiting?: number | undefined
  /** Waiting at most of one caller while less than half of the places are taken. Default 1,024. */
  readonly maxWaitingOfCaller?: number | undefined
  /** Waiting at most of one caller beyond that. Default 16. */
  readonly maxWaitingOfCallerWhenCrowded?: number | undefined
}

/** What is left of a caller's certificate, in milliseconds: where one class ends and the next begins. */
const CLASS_BOUNDS_MS: readonly number[] = [60_000, 5 * 60_000, 15 * 60_000, 60 * 60_000, Number.POSITIVE_INFINITY]
/** Whoever has no certificate is in a class of its own, after the others: anybody can be that. */
const NO_CERTIFICATE = CLASS_BOUNDS_MS.length
/** One turn in so many goes to the class that had none for longest, so that nobody waits for ever behind more urgent work. */
const LONGEST_UNSERVED_EVERY = 4
const WAITING = ['issuance', 'waiting'] as const
const REFUSED = ['issuance', 'refused'] as const
/** A sweep for work that nobody waits for looks at everything: not more often than this. */
const SWEEP_EVERY_MS = 1000

/**
 * Admits signing work: a bounded amount at once, the rest waits for its turn. The nearest end of a caller's certificate
 * comes first, by classes; within a class callers take turns, so that none gains by asking for more; work of one caller is
 * ordered by the end of the documents that it replaces, a first one by when it was asked for. Work whose caller has gone, or whose deadline has passed, is
 * dropped undone. Nothing waits without a bound.
 */
export class Admission {
  readonly #options: {
    readonly maxInFlight: number
    readonly maxWaiting: number
    readonly maxWaitingOfCaller: number
    readonly maxWaitingOfCallerWhenCrowded: number
  }
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #lanes: readonly Lane[] = Array.from({ length: NO_CERTIFICATE + 1 }, () => new Lane())
  #inFlight = 0
  #waiting = 0
  #turn = 0
  #sweptAtMs = Number.NEGATIVE_INFINITY

  constructor(options: AdmissionOptions) {
    const { maxInFlight, maxWaiting = 8192, maxWaitingOfCaller = 1024, maxWaitingOfCallerWhenCrowded = 16 } = options
    this.#options = { maxInFlight, maxWaiting, maxWaitingOfCaller, maxWaitingOfCallerWhenCrowded }
    this.#clock = options.clock
    this.#metrics = options.metrics
  }

  /** Documents that are worked on now. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Documents that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Does the work when its turn has come.
   *
   * @throws GrpcError `RESOURCE_EXHAUSTED` at once when too much waits already, the reason why nobody waits
   *   for the work any more; whatever the work throws
   */
  async run<T>(claim: SigningClaim, work: () => Promise<T>): Promise<T> {
    if (this.#inFlight < this.#options.maxInFlight && this.#waiting === 0) this.#inFlight += 1
    else await this.#turnOf(claim)
    try {
      return await work()
    } finally {
      this.#inFlight -= 1
      this.#admit()
    }
  }

  #turnOf(claim: SigningClaim): Promise<void> {
    const now = this.#clock.now().getTime()
    const lane = this.#lanes[classOf(claim, now)]!
    if (!this.#hasRoom(claim, lane)) {
      this.#sweep(now)
      if (!this.#hasRoom(claim, lane)) {
        this.#metrics.incrementCounter(REFUSED)
        throw new GrpcError(
          'RESOURCE_EXHAUSTED',
          `too much signing work is waiting (${this.#waiting} documents, ${lane.waitingOf(claim.caller)} of this caller): try again later`,
        )
      }
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    lane.add({ claim, endsSeconds: claim.documentEndsSeconds ?? now / 1000, admit: resolve, drop: reject })
    this.#waiting += 1
    this.#measure()
    return promise
  }

  #hasRoom(claim: SigningClaim, lane: Lane): boolean {
    const { maxWaiting, maxWaitingOfCaller, maxWaitingOfCallerWhenCrowded } = this.#options
    if (this.#waiting >= maxWaiting) return false
    const most = this.#waiting * 2 < maxWaiting ? maxWaitingOfCaller : maxWaitingOfCallerWhenCrowded
    return lane.waitingOf(claim.caller) < most
  }

  #admit(): void {
    if (this.#waiting === 0) return
    const now = this.#clock.now().getTime()
    while (this.#inFlight < this.#options.maxInFlight) {
      const next = this.#takeNext()
      if (next === undefined) break
      const reason = next.claim.endReason(now)
      if (reason !== undefined) next.drop(reason)
      else {
        this.#inFlight += 1
        next.admit()
      }
    }
    this.#measure()
  }

  #takeNext(): WaitingWork | undefined {
    if (this.#waiting === 0) return undefined
    this.#turn += 1
    const anyones = this.#turn % LONGEST_UNSERVED_EVERY === 0
    let lane: Lane | undefined
    for (const candidate of this.#lanes) {
      if (candidate.size === 0) continue
      if (lane === undefined || (anyones && candidate.servedAt < lane.servedAt)) lane = candidate
    }
    if (lane === undefined) return undefined
    this.#waiting -= 1
    lane.servedAt = this.#turn
    return lane.take()
  }

  /** Drops what nobody waits for, to make room. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < SWEEP_EVERY_MS) return
    this.#sweptAtMs = nowMs
    for (const lane of this.#lanes) {
      this.#waiting -= lane.removeWhere(work => {
        const reason = work.claim.endReason(nowMs)
        if (reason !== undefined) work.drop(reason)
        return reason !== undefined
      })
    }
    this.#measure()
  }

  #measure(): void {
    this.#metrics.setGauge(WAITING, this.#waiting)
  }
}

function classOf({ certificateEndsMs }: SigningClaim, nowMs: number): number {
  if (certificateEndsMs === undefined) return NO_CERTIFICATE
  return CLASS_BOUNDS_MS.findIndex(bound => certificateEndsMs - nowMs <= bound)
}
