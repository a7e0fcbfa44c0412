import assert from 'node:assert/strict'
import { Certificate, PkiError } from '@plastron/pki'
import {
  Bundle,
  BundleSet,
  isSpiffeError,
  JwtSvid,
  SpiffeId,
  TrustDomain,
  verifyX509Svid,
  WitSvid,
  X509Bundle,
  X509Svid,
} from '@plastron/spiffe'
import { parseWorkloadApiAddress } from '../../../packages/spiffe/src/workload/address.ts'
import { FrameError, FrameReader } from '../../../packages/spiffe/src/workload/grpc/frames.ts'
import { parseGrpcStatus } from '../../../packages/spiffe/src/workload/grpc/status.ts'
import { WorkloadApiError } from '../../../packages/spiffe/src/workload/workload-api-error.ts'
import { changeJson, mutateJws } from '../mutate-jws.ts'
import type { FuzzTarget } from '../target.ts'
import { textOf } from '../text.ts'

const allows = isSpiffeError
const trustDomain = TrustDomain.parse('example.org')
const idTokens = [
  'spiffe://',
  'SPIFFE://',
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2F',
  ':',
  '@',
  '?',
  '#',
  '*',
  '_',
  '-',
  'xn--',
  '\u0000',
  '\r\n',
  '\ufeff',
  'ſ',
]
const jsonTokens = [
  '{',
  '}',
  '[',
  ']',
  '"keys":',
  '"use":"x509-svid"',
  '"use":"jwt-svid"',
  '"x5c":',
  '"kid":',
  '"spiffe_sequence":',
  '"spiffe_refresh_hint":',
  '-1',
  '1e30',
  '18446744073709551616',
  '"d":"AA"',
]

export const spiffeTargets: readonly FuzzTarget[] = [
  {
    name: 'spiffe-id',
    kind: 'text',
    allows,
    tokens: idTokens,
    maxBytes: 8192,
    run(input) {
      const id = SpiffeId.parse(textOf(input))
      assert.ok(SpiffeId.parse(id.toString()).equals(id), 'an ID does not survive as text')
      assert.ok(SpiffeId.fromPath(id.trustDomain, id.path).equals(id), 'the constructors disagree')
      const segments = id.path === '' ? [] : id.path.slice(1).split('/')
      assert.ok(SpiffeId.fromSegments(id.trustDomain, ...segments).equals(id), 'the constructors disagree')
      assert.match(id.toString(), /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)*$/)
      assert.ok(!segments.includes('.') && !segments.includes('..'))
      return `${Math.min(segments.length, 5)} segments`
    },
  },
  {
    name: 'trust-domain',
    kind: 'text',
    allows,
    tokens: idTokens,
    maxBytes: 4096,
    run(input) {
      const parsed = TrustDomain.parse(textOf(input))
      assert.ok(TrustDomain.parse(parsed.name).equals(parsed))
      assert.match(parsed.name, /^[a-z0-9._-]{1,255}$/)
      return 'a name'
    },
  },
  {
    name: 'spiffe-bundle',
    kind: 'text',
    allows,
    tokens: jsonTokens,
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    run(input) {
      const bundle = Bundle.parse(trustDomain, input)
      const again = Bundle.parse(trustDomain, bundle.marshal())
      assert.equal(again.marshal(), bundle.marshal(), 'a bundle does not survive as a document')
      return `${bundle.x509Authorities.length} ${bundle.jwtAuthorities.size} ${bundle.sequenceNumber === undefined}`
    },
  },
  {
    name: 'bundle-map',
    kind: 'text',
    allows,
    tokens: [...jsonTokens, '"trust_domains":', '"example.org":'],
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    run: input => `${BundleSet.parseMap(input).size} domains`,
  },
  {
    name: 'x509-bundle',
    kind: 'der',
    allows,
    run(input) {
      const bundle = X509Bundle.parseDer(trustDomain, input)
      return `${bundle.x509Authorities.length} authorities`
    },
  },
  {
    name: 'x509-svid',
    kind: 'text',
    allows,
    tokens: ['-----BEGIN CERTIFICATE-----\n', '-----END CERTIFICATE-----\n', '-----BEGIN PRIVATE KEY-----\n', '-----'],
    run(input) {
      const svid = X509Svid.parsePem(textOf(input))
      return svid.id.toString()
    },
  },
  {
    name: 'x509-svid-chain',
    kind: 'der',
    allows: error => isSpiffeError(error) || error instanceof PkiError,
    run: async input => {
      const chain = Certificate.parseConcatenated(input, { maxCertificates: 20 })
      const [leaf] = chain
      // The chain vouches for itself: its last certificate is the only authority, so that mutated ones get as far as they can.
      const { id, path } = await verifyX509Svid(chain, new X509Bundle(trustDomain, chain.slice(-1)), {
        now: leaf?.notBefore,
      })
      assert.ok(id.memberOf(trustDomain) && id.path !== '')
      return `${path.length} certificates`
    },
  },
  {
    name: 'jwt-svid',
    kind: 'text',
    allows,
    mutate: (input, random) => mutateJws(input, random),
    run(input) {
      const svid = JwtSvid.parseInsecure(textOf(input), { now: new Date('2030-01-01T00:00:00Z') })
      return `${svid.id.trustDomain.name} ${svid.audience.length}`
    },
  },
  {
    name: 'wit-svid',
    kind: 'text',
    allows,
    mutate: (input, random) => mutateJws(input, random),
    run(input) {
      const svid = WitSvid.parseInsecure(textOf(input), { now: new Date('2030-01-01T00:00:00Z') })
      return svid.id.trustDomain.name
    },
  },
  {
    name: 'workload-api-address',
    kind: 'text',
    allows: error => error instanceof WorkloadApiError || isSpiffeError(error),
    tokens: ['unix:', 'unix://', 'tcp://', '/', '127.0.0.1', '[::1]', ':8080', '?', '#', '%00', '@'],
    run: input => Object.keys(parseWorkloadApiAddress(textOf(input))).join(' '),
  },
  {
    name: 'grpc-frames',
    kind: 'bytes',
    allows: error => error instanceof FrameError,
    run(input) {
      const cut = (size: number): string => {
        const reader = new FrameReader(4096)
        const messages: number[] = []
        for (let at = 0; at < input.length; at += size) {
          for (const message of reader.push(input.subarray(at, at + size))) messages.push(message.length)
        }
        return messages.join(' ')
      }
      const whole = cut(Math.max(1, input.length))
      assert.equal(cut(7), whole, 'the pieces that bytes arrive in change the messages')
      return `${whole.split(' ').length} messages`
    },
  },
  {
    name: 'grpc-status',
    kind: 'text',
    allows: error => error instanceof WorkloadApiError,
    maxBytes: 4096,
    run: input => String(parseGrpcStatus(textOf(input))),
  },
]
