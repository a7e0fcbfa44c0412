import type { EncodedMessage } from '@plastron/runtime'
import type { Position } from '../datastore/index.ts'
import { type DeltaContent, deltaMessages, deltaSize } from './watch-message.ts'

/** For how long encoded messages are sent again: what they say the server's time is may be off by this much. */
const SHARED_MS = 250

/** A delta that many watchers may be told: its messages are encoded once as long as they leave within a moment. */
export class Delta {
  readonly content: DeltaContent
  readonly position: Position
  /** Bytes, a few too many. */
  readonly size: number
  #messages: readonly EncodedMessage[] | undefined
  #encodedMs = 0

  constructor(content: DeltaContent, position: Position) {
    this.content = content
    this.position = position
    this.size = deltaSize(content)
  }

  /** Whether it only tells the position. */
  get isEmpty(): boolean {
    const { entries, removedIds, bundles, removedBundles } = this.content
    return entries.length + removedIds.length + bundles.length + removedBundles.length === 0
  }

  /** Its messages, to be sent now. */
  messages(now: () => Date): readonly EncodedMessage[] {
    const nowMs = now().getTime()
    if (this.#messages === undefined || Math.abs(nowMs - this.#encodedMs) > SHARED_MS) {
      this.#messages = [...deltaMessages(this.content, this.position, now)]
      this.#encodedMs = nowMs
    }
    return this.#messages
  }
}

/** Tells nothing but a position. */
export const NOTHING: DeltaContent = Object.freeze({ entries: [], removedIds: [], bundles: [], removedBundles: [] })
