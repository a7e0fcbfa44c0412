import assert from 'node:assert/strict'
import { Certificate, PkiError, PrivateKey } from '@plastron/pki'
import { CliError } from '@plastron/runtime/cli'
import { ConfigError } from '@plastron/runtime/config'
import { TrustDomain, X509Bundle } from '@plastron/spiffe'
import { parseAgentConfig } from '../../../packages/agent/src/config/load-agent-config.ts'
import { decodeJournal, encodeJournal } from '../../../packages/server/src/authority/journal.ts'
import { parseBundleText } from '../../../packages/server/src/cli/bundle-document.ts'
import { parseServerConfig } from '../../../packages/server/src/config/load-server-config.ts'
import { NodeAttestationError } from '../../../packages/server/src/plugins/node-attestor/node-attestor.ts'
import { checkPossession } from '../../../packages/server/src/plugins/node-attestor/possession.ts'
import { X509popAttestor } from '../../../packages/server/src/plugins/node-attestor/x509pop.ts'
import { readCorpus } from '../corpus.ts'
import { changeJson } from '../mutate-jws.ts'
import type { FuzzTarget } from '../target.ts'
import { textOf } from '../text.ts'

const configTokens = [
  '{}',
  '[]',
  '""',
  '0',
  '-1',
  '1e9',
  '99999999999999999999',
  '"1h"',
  '"-1s"',
  'true',
  'null',
  '\n',
  'server {',
  'agent {',
  'plugins {',
  'health_checks {',
  'telemetry {',
  'plugin_data {',
  'experimental {',
  '__proto__',
  'constructor',
  'trust_domain',
  'bind_port',
  'socket_path',
  'log_level',
]
const allowsConfig = (error: unknown): boolean => error instanceof ConfigError
const accepted = (target: string, name: string): Uint8Array =>
  readCorpus(target).find(({ path }) => path.endsWith(`/accept/${name}`))?.input ?? new Uint8Array(0)

const trustDomain = TrustDomain.parse('example.org')
const genuine = Certificate.parseConcatenated(accepted('path', 'leaf-intermediate-root.der'))
const [leaf, , root] = genuine as [Certificate, Certificate, Certificate]
const leafKey = PrivateKey.fromPkcs8(accepted('pkcs8', 'ec-p256.der'))
const nonce = new Uint8Array(32).fill(7)
const attestor = X509popAttestor.open({
  mode: 'spiffe',
  spiffePrefix: '/',
  caBundlePaths: [],
  maxIntermediates: 4,
  maxRsaKeySize: 8192,
  verifyClientIp: false,
})

/** An honest answer to a challenge of x509pop, by whoever holds the leaf's key. */
async function answer(challenge: Uint8Array): Promise<Uint8Array> {
  const { ecdsa_signature: part } = JSON.parse(textOf(challenge)) as { ecdsa_signature: { nonce: string } }
  const data = Buffer.concat([Buffer.from(part.nonce, 'base64'), nonce])
  const signature = Buffer.from(await leafKey.sign('ecdsa-sha256', data))
  const rLength = signature[3] as number
  const r = signature.subarray(4, 4 + rLength)
  const s = signature.subarray(6 + rLength)
  const text = (bytes: Buffer): string => bytes.subarray(bytes[0] === 0 ? 1 : 0).toString('base64')
  return Buffer.from(
    JSON.stringify({ ecdsa_signature: { nonce: Buffer.from(nonce).toString('base64'), r: text(r), s: text(s) } }),
  )
}

export const programTargets: readonly FuzzTarget[] = [
  {
    name: 'server-config',
    kind: 'text',
    allows: allowsConfig,
    tokens: configTokens,
    // The schema library reports every problem of a file that is read once, when the program starts.
    maxMilliseconds: 500,
    run(input) {
      const { config, notices } = parseServerConfig(textOf(input), { path: 'fuzz.conf', cwd: '/' })
      return `${config.trustDomain.name} ${notices.length}`
    },
  },
  {
    name: 'agent-config',
    kind: 'text',
    allows: allowsConfig,
    tokens: configTokens,
    maxMilliseconds: 500,
    run(input) {
      const { config, notices } = parseAgentConfig(textOf(input), { path: 'fuzz.conf', cwd: '/' })
      return `${config.trustDomain.name} ${notices.length}`
    },
  },
  {
    name: 'cli-bundle',
    kind: 'text',
    allows: error => error instanceof CliError,
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    tokens: ['-----BEGIN CERTIFICATE-----\n', '-----END CERTIFICATE-----\n', '"keys"', '"x5c"', '"spiffe_sequence":'],
    run(input) {
      const text = textOf(input)
      const bundle = parseBundleText('example.org', text, text.startsWith('-') ? 'pem' : 'spiffe')
      return `${bundle.x509Authorities.length} ${bundle.jwtAuthorities.length}`
    },
  },
  {
    name: 'journal',
    kind: 'text',
    allows: error => error instanceof PkiError || (error instanceof Error && error.constructor === Error),
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    run(input) {
      const journal = decodeJournal(input)
      assert.deepEqual(decodeJournal(encodeJournal(journal)), journal, 'a journal does not survive')
      return `${journal.x509.length} ${journal.jwt.length} ${journal.wit.length}`
    },
  },
  {
    name: 'x509pop-payload',
    kind: 'text',
    allows: error => error instanceof NodeAttestationError,
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    tokens: ['"certificates":', '[', ']', '"', ',', 'MII', '=', 'null'],
    async run(input) {
      const { agentId } = await (await attestor).attest(input, {
        trustDomain,
        peerAddress: '127.0.0.1',
        now: new Date('2030-01-01T00:00:00Z'),
        ownBundle: () => new X509Bundle(trustDomain, [root]),
        challenge: answer,
      })
      assert.equal(agentId.toString(), 'spiffe://example.org/spire/agent/x509pop/web')
      return 'attested'
    },
  },
  {
    name: 'x509pop-response',
    kind: 'text',
    allows: error => error instanceof NodeAttestationError,
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    tokens: ['"ecdsa_signature":', '"rsa_signature":', '"nonce":', '"r":', '"s":', 'AAAA', '=', 'null'],
    async run(input) {
      await checkPossession(leaf.publicKey, { message: new Uint8Array(0), nonce, kind: 'ecdsa_signature' }, input)
      return 'possession'
    },
  },
]
