import { join } from 'node:path'
import { Certificate, type JsonObject, type JsonValue } from '@plastron/pki'
import { Bundle, type TrustDomain } from '@plastron/spiffe'
import { reasonOf } from '../agent-error.ts'
import { SealedDocument } from './sealed-document.ts'

/** The agent's own certificate, without the key, which a key manager holds. */
interface StoredSvid {
  /** Leaf first, without the root. */
  readonly chain: readonly Certificate[]
  /** True if the node can prove itself again; a join token can be spent once only. */
  readonly reattestable: boolean
  /** The key manager's name of the key. */
  readonly keyId: string
}

/** What an agent remembers over a restart. */
export interface AgentStateContent {
  readonly svid: StoredSvid | undefined
  /** The last bundle of the own trust domain. */
  readonly bundle: Bundle | undefined
  /** The key that an attestation was begun with whose end is not known. It is used again: the server may have spent the token on it. */
  readonly pendingKeyId: string | undefined
}

const EMPTY: AgentStateContent = Object.freeze({ svid: undefined, bundle: undefined, pendingKeyId: undefined })

/** What {@link AgentState.open} had to do. */
export interface SetAside {
  readonly movedTo: string
  readonly reason: string
}

/**
 * The agent's memory on disk: `plastron-agent.json` in the data folder. Workload keys are never in it (AGT-DISK-006).
 *
 * Everything is changed through {@link update}, which resolves when the change is on disk.
 */
export class AgentState {
  readonly #document: SealedDocument
  #content: AgentStateContent

  private constructor(document: SealedDocument, content: AgentStateContent) {
    this.#document = document
    this.#content = content
  }

  /**
   * Reads the state. What is damaged or of another trust domain is set aside and the state begins empty.
   *
   * @throws {@link AgentError} `ERR_AGENT_STORAGE`
   */
  static async open(
    dataFolder: string,
    trustDomain: TrustDomain,
    now: Date,
  ): Promise<{ state: AgentState; setAside: SetAside | undefined }> {
    const document = new SealedDocument(join(dataFolder, 'plastron-agent.json'), 'plastron agent state', 1)
    let found = await document.read(now)
    if (found.kind === 'content') {
      try {
        return { state: new AgentState(document, decode(found.content, trustDomain)), setAside: undefined }
      } catch (error) {
        found = await document.discard(reasonOf(error), now)
      }
    }
    return { state: new AgentState(document, EMPTY), setAside: found.kind === 'set-aside' ? found : undefined }
  }

  get content(): AgentStateContent {
    return this.#content
  }

  /** Changes parts; the others stay. @throws {@link AgentError} `ERR_AGENT_STORAGE`, with the old content still on disk */
  async update(changes: Partial<AgentStateContent>): Promise<void> {
    const content = { ...this.#content, ...changes }
    this.#content = content
    await this.#document.write(encode(content))
  }
}

function encode({ svid, bundle, pendingKeyId }: AgentStateContent): JsonObject {
  return {
    svid: svid
      ? {
          chain: svid.chain.map(certificate => Buffer.from(certificate.der).toString('base64')),
          reattestable: svid.reattestable,
          key_id: svid.keyId,
        }
      : null,
    trust_domain: bundle?.trustDomain.name ?? null,
    bundle: bundle?.marshal() ?? null,
    pending_key_id: pendingKeyId ?? null,
  }
}

function decode(content: JsonObject, trustDomain: TrustDomain): AgentStateContent {
  const domain = optionalText(content.trust_domain, 'trust_domain')
  if (domain !== undefined && domain !== trustDomain.name) {
    throw new Error(`it is the state of an agent of trust domain ${domain}, not of ${trustDomain}`)
  }
  const bundle = optionalText(content.bundle, 'bundle')
  return {
    svid: content.svid === null ? undefined : decodeSvid(content.svid as JsonObject),
    bundle: bundle === undefined ? undefined : Bundle.parse(trustDomain, bundle),
    pendingKeyId: optionalText(content.pending_key_id, 'pending_key_id'),
  }
}

function decodeSvid({ chain, reattestable, key_id: keyId }: JsonObject): StoredSvid {
  if (!Array.isArray(chain) || chain.length === 0) throw new Error('its certificate chain is missing')
  if (typeof reattestable !== 'boolean') throw new Error('"reattestable" is not true or false')
  const name = optionalText(keyId, 'key_id')
  if (name === undefined) throw new Error('"key_id" is missing')
  return {
    chain: chain.map(text => Certificate.parse(Buffer.from(optionalText(text, 'chain') ?? '', 'base64'))),
    reattestable,
    keyId: name,
  }
}

function optionalText(value: JsonValue | undefined, member: string): string | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value !== 'string') throw new Error(`"${member}" is not text`)
  return value
}
