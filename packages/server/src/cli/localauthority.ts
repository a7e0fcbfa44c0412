import { create } from '@bufbuild/protobuf'
import * as localauthorityV1 from '@plastron/api/localauthority-v1'
import { CliError, type Command, goUtcTime, textFlag } from '@plastron/runtime/cli'
import { type AdminContext, adminCommand } from './admin-command.ts'

const { LocalAuthority } = localauthorityV1

/** Any of the messages that report one authority, or the three slots. */
interface AuthorityReport {
  readonly activatedAuthority?: localauthorityV1.AuthorityState | undefined
  readonly preparedAuthority?: localauthorityV1.AuthorityState | undefined
  readonly taintedAuthority?: localauthorityV1.AuthorityState | undefined
  readonly revokedAuthority?: localauthorityV1.AuthorityState | undefined
}

function block(state: localauthorityV1.AuthorityState | undefined, kind: Kind, none: string): string {
  if (state === undefined) return `  ${none}\n`
  const upstream =
    kind !== 'x509'
      ? ''
      : state.upstreamAuthoritySubjectKeyId === ''
        ? '  Upstream authority ID: No upstream authority\n'
        : `  Upstream authority Subject Key ID: ${state.upstreamAuthoritySubjectKeyId}\n`
  return `  Authority ID: ${state.authorityId}\n  Expires at: ${goUtcTime(new Date(Number(state.expiresAt) * 1000))}\n${upstream}`
}

type Kind = 'x509' | 'jwt' | 'wit'

const methods = {
  x509: {
    title: 'X.509',
    show: LocalAuthority.method.getX509AuthorityState,
    prepare: LocalAuthority.method.prepareX509Authority,
    activate: LocalAuthority.method.activateX509Authority,
    taint: LocalAuthority.method.taintX509Authority,
    revoke: LocalAuthority.method.revokeX509Authority,
  },
  jwt: {
    title: 'JWT',
    show: LocalAuthority.method.getJWTAuthorityState,
    prepare: LocalAuthority.method.prepareJWTAuthority,
    activate: LocalAuthority.method.activateJWTAuthority,
    taint: LocalAuthority.method.taintJWTAuthority,
    revoke: LocalAuthority.method.revokeJWTAuthority,
  },
  wit: {
    title: 'WIT',
    show: LocalAuthority.method.getWITAuthorityState,
    prepare: LocalAuthority.method.prepareWITAuthority,
    activate: LocalAuthority.method.activateWITAuthority,
    taint: LocalAuthority.method.taintWITAuthority,
    revoke: LocalAuthority.method.revokeWITAuthority,
  },
} as const

export function localAuthorityShow(kind: Kind): Command {
  const { title, show } = methods[kind]
  return adminCommand({
    name: `localauthority ${kind} show`,
    summary: `Shows the local ${title} authorities`,
    flags: {},
    run: async (_values, { client, print }) => {
      const state = await client.call<typeof show.input, typeof show.output>(show, create(show.input))
      const section = (name: string, authority: localauthorityV1.AuthorityState | undefined) =>
        `${name} ${title} authority:\n${block(authority, kind, `No ${name.toLowerCase()} ${title} authority found`)}`
      print(show.output, state, () => {
        return `${section('Active', state.active)}\n${section('Prepared', state.prepared)}\n${section('Old', state.old)}`
      })
    },
  })
}

export function localAuthorityPrepare(kind: Kind): Command {
  const { title, prepare } = methods[kind]
  return adminCommand({
    name: `localauthority ${kind} prepare`,
    summary: `Prepares a new ${title} authority`,
    flags: {},
    run: async (_values, { client, print }) => {
      const response = await client.call<typeof prepare.input, typeof prepare.output>(prepare, create(prepare.input))
      print(
        prepare.output,
        response,
        () => `Prepared ${title} authority:\n${block(response.preparedAuthority, kind, 'none')}`,
      )
    },
  })
}

export function localAuthorityChange(kind: Kind, verb: 'activate' | 'taint' | 'revoke'): Command {
  const { title } = methods[kind]
  const method = methods[kind][verb]
  const done = { activate: 'Activated', taint: 'Tainted', revoke: 'Revoked' }[verb]
  return adminCommand({
    name: `localauthority ${kind} ${verb}`,
    summary: `${verb[0]?.toUpperCase()}${verb.slice(1)}s a local ${title} authority`,
    flags: { authorityID: textFlag(`The authority ID of the ${title} authority to ${verb}`) },
    run: async (values, { client, print }: AdminContext) => {
      if (values.authorityID === '') throw new CliError('an authority ID is required')
      const response = await client.call<typeof method.input, typeof method.output>(
        method,
        create(method.input, { authorityId: values.authorityID }),
      )
      const report: AuthorityReport = response
      const state = report.activatedAuthority ?? report.taintedAuthority ?? report.revokedAuthority
      print(method.output, response, () => `${done} ${title} authority:\n${block(state, kind, 'none')}`)
    },
  })
}
