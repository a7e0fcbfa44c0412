import type { localauthorityV1 } from '@plastron/api'
import { GrpcError, type Handlers } from '@plastron/runtime'
import type { Authorities } from '../authority/authorities.ts'
import type { Authority, AuthorityKind, Slot } from '../authority/authority.ts'
import { AuthorityError } from '../authority/authority-error.ts'

/** `spire.api.server.localauthority.v1.LocalAuthority`: prepare, activate, taint and revoke by hand. */
export function localAuthorityHandlers(authorities: Authorities): Handlers<typeof localauthorityV1.LocalAuthority> {
  const state = async (kind: AuthorityKind) =>
    answered(async () => {
      const { current, next } = authorities.slots(kind)
      if (current?.status !== 'active') throw new GrpcError('UNAVAILABLE', 'server is initializing')
      const other = (status: Slot['status']) => (next?.status === status ? { [status]: message(next.authority) } : {})
      return { active: message(current.authority), ...other('prepared'), ...other('old') }
    })
  const prepare = async (kind: AuthorityKind) =>
    answered(async () => ({ preparedAuthority: message(await authorities.prepare(kind)) }))
  const activate = async (kind: AuthorityKind, id: string) =>
    answered(async () => ({ activatedAuthority: message(await authorities.activate(kind, id)) }))
  const taint = async (kind: AuthorityKind, id: string) =>
    answered(async () => ({ taintedAuthority: message(await authorities.taint(kind, id)) }))
  const revoke = async (kind: AuthorityKind, id: string) =>
    answered(async () => ({ revokedAuthority: message(await authorities.revoke(kind, id)) }))
  const noUpstream = async (): Promise<never> => {
    throw new GrpcError('FAILED_PRECONDITION', 'upstream authority is not configured')
  }
  return {
    getX509AuthorityState: () => state('x509'),
    prepareX509Authority: () => prepare('x509'),
    activateX509Authority: ({ authorityId }) => activate('x509', authorityId),
    taintX509Authority: ({ authorityId }) => taint('x509', authorityId),
    revokeX509Authority: ({ authorityId }) => revoke('x509', authorityId),
    taintX509UpstreamAuthority: noUpstream,
    revokeX509UpstreamAuthority: noUpstream,
    getJWTAuthorityState: () => state('jwt'),
    prepareJWTAuthority: () => prepare('jwt'),
    activateJWTAuthority: ({ authorityId }) => activate('jwt', authorityId),
    taintJWTAuthority: ({ authorityId }) => taint('jwt', authorityId),
    revokeJWTAuthority: ({ authorityId }) => revoke('jwt', authorityId),
    getWITAuthorityState: () => state('wit'),
    prepareWITAuthority: () => prepare('wit'),
    activateWITAuthority: ({ authorityId }) => activate('wit', authorityId),
    taintWITAuthority: ({ authorityId }) => taint('wit', authorityId),
    revokeWITAuthority: ({ authorityId }) => revoke('wit', authorityId),
  }
}

function message(authority: Pick<Authority, 'id' | 'notAfter'>) {
  return {
    authorityId: authority.id,
    expiresAt: BigInt(Math.floor(authority.notAfter.getTime() / 1000)),
    upstreamAuthoritySubjectKeyId: '',
  }
}

const codes = {
  ERR_AUTHORITY_NOT_READY: 'UNAVAILABLE',
  ERR_AUTHORITY_ARGUMENT: 'INVALID_ARGUMENT',
  ERR_AUTHORITY_STATE: 'FAILED_PRECONDITION',
  ERR_AUTHORITY_STORAGE: 'INTERNAL',
  ERR_AUTHORITY_PREPARE: 'INTERNAL',
  ERR_AUTHORITY_DISABLED: 'UNIMPLEMENTED',
} as const

async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof AuthorityError)) throw error
    const text = error.code === 'ERR_AUTHORITY_NOT_READY' ? 'server is initializing' : error.message
    throw new GrpcError(codes[error.code], text, { cause: error })
  }
}
