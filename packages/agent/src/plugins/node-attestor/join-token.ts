import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { AgentError, reasonOf } from '../../agent-error.ts'
import type { AttestationExchange, NodeAttestor } from './node-attestor.ts'

/** Longest token that is read; a server's own have 36 characters. */
const MAX_TOKEN_BYTES = 4096

/** Where the token comes from; at most one of them. */
export interface JoinTokenOptions {
  readonly token?: string | undefined
  /** Read at each attestation, so that a new token can be put there while the agent runs. */
  readonly tokenFile?: string | undefined
}

/** A token that the server made for one agent and that can be spent once (AGT-NA-014, AGT-BOOT-017). */
export class JoinTokenAttestor implements NodeAttestor {
  readonly name = 'join_token'
  readonly #options: JoinTokenOptions

  /** @throws {@link AgentError} `ERR_AGENT_CONFIG` for two sources */
  constructor(options: JoinTokenOptions) {
    if (options.token && options.tokenFile) {
      throw new AgentError('ERR_AGENT_CONFIG', 'join_token and join_token_file exclude each other')
    }
    this.#options = options
  }

  async begin(): Promise<AttestationExchange> {
    const payload = Buffer.from(await this.#token())
    return {
      type: this.name,
      payload,
      answer: async () => {
        throw new AgentError(
          'ERR_AGENT_NODE_ATTESTATION',
          'the server sent a challenge, which a join token has no answer to',
        )
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #token(): Promise<string> {
    const { token, tokenFile } = this.#options
    if (token) return token
    if (!tokenFile) {
      throw new AgentError(
        'ERR_AGENT_JOIN_TOKEN',
        'join token was not provided: make one with "plastron-server token generate" and give it as join_token_file or join_token',
      )
    }
    const read = await readTokenFile(tokenFile)
    if (read === '') throw new AgentError('ERR_AGENT_JOIN_TOKEN', `join token file ${tokenFile} is empty`)
    return read
  }
}

async function readTokenFile(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw new Error('it is not a regular file')
      if (stat.size > MAX_TOKEN_BYTES)
        throw new Error(`it has ${stat.size} bytes, a token has at most ${MAX_TOKEN_BYTES}`)
      return (await file.readFile('utf8')).trim()
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new AgentError('ERR_AGENT_JOIN_TOKEN', `join token file ${path} cannot be read: ${reasonOf(cause)}`, {
      cause,
    })
  }
}
