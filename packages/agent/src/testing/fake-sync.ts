import type { MessageInitShape } from '@bufbuild/protobuf'
import type { syncV1, types } from '@plastron/api'
import type { Call, Handlers } from '@plastron/runtime'

type Response = MessageInitShape<typeof syncV1.WatchResponseSchema>
type Content = Exclude<NonNullable<Response['content']>, { case: undefined }>

/** What a {@link FakeSync} tells of its own accord. */
export interface FakeSyncSource {
  readonly entries: readonly MessageInitShape<typeof types.EntrySchema>[]
  readonly bundles: () => readonly MessageInitShape<typeof types.BundleSchema>[]
  /** Refuses callers who are not welcome. */
  readonly refuse: (call: Call) => void
}

/** One open stream: what is sent goes out in order, until it is ended. */
export class FakeWatch {
  readonly request: syncV1.WatchRequest
  /** The serial number of the certificate that the agent showed. */
  readonly serial: string
  isOpen = true
  readonly #waiting: Response[] = []
  #end: { readonly error?: Error | undefined } | undefined
  #wake: (() => void) | undefined

  constructor(request: syncV1.WatchRequest, serial: string) {
    this.request = request
    this.serial = serial
  }

  send(...contents: readonly Content[]): void {
    for (const content of contents) this.#waiting.push({ content } as Response)
    this.#wake?.()
  }

  end(error?: Error): void {
    this.#end = { error }
    this.#wake?.()
  }

  async *messages(call: Call): AsyncGenerator<Response, void, undefined> {
    call.signal.addEventListener('abort', () => this.#wake?.(), { once: true })
    try {
      while (!call.signal.aborted) {
        const next = this.#waiting.shift()
        if (next !== undefined) {
          yield next
        } else if (this.#end !== undefined) {
          if (this.#end.error !== undefined) throw this.#end.error
          return
        } else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.isOpen = false
    }
  }
}

/** The pushing side of a fake server. Unless told otherwise it begins each stream as a good server does. */
export class FakeSync {
  readonly history = new Uint8Array(16).fill(7)
  number = 1n
  /** Every stream that was opened, in order. */
  readonly watches: FakeWatch[] = []
  /** Whether a new stream is left to the test. */
  isManual = false
  readonly #source: FakeSyncSource

  constructor(source: FakeSyncSource) {
    this.#source = source
  }

  get position(): { readonly historyId: Uint8Array; readonly number: bigint } {
    return { historyId: this.history, number: this.number }
  }

  /** Those that are open now. */
  get open(): readonly FakeWatch[] {
    return this.watches.filter(({ isOpen }) => isOpen)
  }

  /** Everything that the server has, as a snapshot. */
  snapshot(reason: syncV1.SnapshotBegin_Reason): readonly Content[] {
    const { entries } = this.#source
    const bundles = this.#source.bundles()
    return [
      { case: 'snapshotBegin', value: { reason } },
      { case: 'snapshotChunk', value: { bundles: [...bundles] } },
      { case: 'snapshotChunk', value: { entries: [...entries] } },
      {
        case: 'snapshotEnd',
        value: {
          position: this.position,
          entryCount: BigInt(entries.length),
          bundleCount: BigInt(bundles.length),
        },
      },
    ] as readonly Content[]
  }

  /** Counts one change and tells it to every stream. */
  tell(delta: Omit<MessageInitShape<typeof syncV1.DeltaSchema>, '$typeName' | '$unknown'>): void {
    this.number += 1n
    for (const watch of this.open)
      watch.send({ case: 'delta', value: { ...delta, position: this.position } } as Content)
  }

  handlers(): Handlers<typeof syncV1.Sync> {
    const sync = selfOf(this)
    return {
      watch: (request, call) => {
        sync.#source.refuse(call)
        const serial = call.peer.kind === 'tls' ? (call.peer.identity?.serialNumber ?? '') : ''
        const watch = new FakeWatch(request, serial)
        sync.watches.push(watch)
        const { position } = request
        const isHeld = position !== undefined && Buffer.from(position.historyId).equals(sync.history)
        if (!sync.isManual) {
          if (isHeld && position.number === sync.number) {
            watch.send({ case: 'delta', value: { position: sync.position } } as Content)
          } else {
            watch.send(...sync.snapshot(1))
          }
        }
        return watch.messages(call)
      },
      async getPosition(_request, call) {
        sync.#source.refuse(call)
        for (const watch of sync.open) {
          if (!sync.isManual) watch.send({ case: 'delta', value: { position: sync.position } } as Content)
        }
        return { position: sync.position }
      },
    }
  }
}

/** The object under another name, for handlers whose `this` is another one. */
function selfOf(sync: FakeSync): FakeSync {
  return sync
}
