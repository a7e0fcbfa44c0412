import { agentV1, entryV1 } from '@plastron/api'
import { Certificate, createCertificateRequest, PrivateKey } from '@plastron/pki'
import { connectMutualTls, type TlsIdentity } from '@plastron/runtime'
import { Bundle, TrustDomain, verifyX509Svid } from '@plastron/spiffe'

/** Where a server listens and what its certificate must lead to. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
  readonly trustDomain: string
  /** DER. */
  readonly authorities: readonly Uint8Array[]
}

/** The part of an agent that a server notices: it attests over TLS and then asks for its entries. */
export class AgentClient implements Disposable {
  readonly #channel
  #identity: TlsIdentity | undefined

  private constructor(server: ServerAddress) {
    const bundle = new Bundle(TrustDomain.parse(server.trustDomain), {
      x509Authorities: server.authorities.map(der => Certificate.parse(der)),
    })
    this.#channel = connectMutualTls({
      host: server.host,
      port: server.port,
      identity: () => this.#identity,
      roots: () => server.authorities,
      verifyServer: async chain => {
        await verifyX509Svid(chain, bundle)
      },
    })
  }

  /** Spends a join token and connects anew with the certificate that it bought. */
  static async attest(server: ServerAddress, token: string): Promise<AgentClient> {
    const client = new AgentClient(server)
    try {
      const key = await PrivateKey.generate('ec-p256')
      const csr = await createCertificateRequest({ signer: key })
      const data = { type: 'join_token', payload: Buffer.from(token) }
      const params = { data, params: { csr } }
      async function* requests() {
        yield { step: { case: 'params' as const, value: params } }
      }
      for await (const { step } of client.#channel.client(agentV1.Agent).attestAgent(requests())) {
        if (step.case !== 'result') throw new Error('a join token has no challenge')
        client.#identity = { key, chain: step.value.svid?.certChain ?? [] }
        break
      }
      client.#channel.reconnect()
      return client
    } catch (error) {
      client[Symbol.dispose]()
      throw error
    }
  }

  /** Asks once for the entries of this agent, as agents do every few seconds; resolves with how many there are. */
  async sync(): Promise<number> {
    let finish = () => {}
    const finished = new Promise<void>(resolve => {
      finish = resolve
    })
    async function* requests() {
      yield {}
      await finished
    }
    let entries = 0
    try {
      const answers = this.#channel.client(entryV1.Entry).syncAuthorizedEntries(requests(), { timeoutMs: 30_000 })
      for await (const answer of answers) {
        entries += answer.entries.length + answer.entryRevisions.length
        if (!answer.more) break
      }
    } finally {
      finish()
    }
    return entries
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]()
  }
}
