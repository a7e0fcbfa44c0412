import type { localauthorityV1 } from '@plastron/api'
import { type Call, GrpcError, type Handlers } from '@plastron/runtime'
import type { Authorities } from '../authority/authorities.ts'
import type { Authority, AuthorityKind, Slot } from '../authority/authority.ts'
import { AuthorityError } from '../authority/authority-error.ts'
import { audit } from './audit.ts'

/** `spire.api.server.localauthority.v1.LocalAuthority`: prepare, activate, taint and revoke by hand. */
export function localAuthorityHandlers(authorities: Authorities): Handlers<typeof localauthorityV1.LocalAuthority> {
  const state = async (kind: AuthorityKind) =>
    answered(async () => {
      const { current, next } = authorities.slots(kind)
      if (current?.status !== 'active') throw new GrpcError('UNAVAILABLE', 'server is initializing')
      const other = (status: Slot['status']) => (next?.status === status ? { [status]: message(next.authority) } : {})
      return { active: message(current.authority), ...other('prepared'), ...other('old') }
    })
  const prepare = async (kind: AuthorityKind, call: Call) =>
    answered(async () => {
      const prepared = await authorities.prepare(kind)
      audit(call, () => ({ local_authority_id: prepared.id }))
      return { preparedAuthority: message(prepared) }
    })
  const activate = async (kind: AuthorityKind, id: string, call: Call) =>
    answered(async () => ({ activatedAuthority: message(await authorities.activate(kind, named(call, id))) }))
  const taint = async (kind: AuthorityKind, id: string, call: Call) =>
    answered(async () => ({ taintedAuthority: message(await authorities.taint(kind, named(call, id))) }))
  const revoke = async (kind: AuthorityKind, id: string, call: Call) =>
    answered(async () => ({ revokedAuthority: message(await authorities.revoke(kind, named(call, id))) }))
  const noUpstream = async ({ subjectKeyId }: { readonly subjectKeyId: string }, call: Call): Promise<never> => {
    audit(call, () => ({ subject_key_id: subjectKeyId }))
    throw new GrpcError('FAILED_PRECONDITION', 'upstream authority is not configured')
  }
  return {
    getX509AuthorityState: () => state('x509'),
    prepareX509Authority: (_request, call) => prepare('x509', call),
    activateX509Authority: ({ authorityId }, call) => activate('x509', authorityId, call),
    taintX509Authority: ({ authorityId }, call) => taint('x509', authorityId, call),
    revokeX509Authority: ({ authorityId }, call) => revoke('x509', authorityId, call),
    taintX509UpstreamAuthority: noUpstream,
    revokeX509UpstreamAuthority: noUpstream,
    getJWTAuthorityState: () => state('jwt'),
    prepareJWTAuthority: (_request, call) => prepare('jwt', call),
    activateJWTAuthority: ({ authorityId }, call) => activate('jwt', authorityId, call),
    taintJWTAuthority: ({ authorityId }, call) => taint('jwt', authorityId, call),
    revokeJWTAuthority: ({ authorityId }, call) => revoke('jwt', authorityId, call),
    getWITAuthorityState: () => state('wit'),
    prepareWITAuthority: (_request, call) => prepare('wit', call),
    activateWITAuthority: ({ authorityId }, call) => activate('wit', authorityId, call),
    taintWITAuthority: ({ authorityId }, call) => taint('wit', authorityId, call),
    revokeWITAuthority: ({ authorityId }, call) => revoke('wit', authorityId, call),
  }
}

/** Puts the authority that a call names into its audit record, also if there is none of that name. */
function named(call: Call, id: string): string {
  audit(call, () => ({ local_authority_id: id }))
  return id
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
