import { type Call, callerKey, GrpcError } from '@plastron/runtime'

/** Who asks for signing work, and how much time is left: what the work is ordered by. */
export interface SigningClaim {
  /** One caller: an identity, or the address of somebody without one. */
  readonly caller: string
  /** When the caller's certificate ends, in milliseconds since 1970. Absent: it has none. */
  readonly certificateEndsMs: number | undefined
  /**
   * When the document ends that the work replaces, in seconds since 1970, by the caller's own word: it orders nothing but
   * work of the same caller. Absent: it replaces none, or the caller did not say.
   */
  readonly documentEndsSeconds: number | undefined
  /** Why nobody waits for the work any more; undefined as long as somebody does. */
  endReason(nowMs: number): GrpcError | undefined
}

/** The request header in which an agent says when the document ends that is to be replaced: seconds since 1970. */
export const DOCUMENT_END_HEADER = 'plastron-expires-at'

/** What a call claims. */
export function claimOf(call: Call): SigningClaim {
  const { peer } = call
  const identity = peer.kind === 'tls' ? peer.identity : undefined
  return {
    caller: callerKey(peer),
    certificateEndsMs: identity?.notAfter.getTime(),
    // Callers behind one address are not one caller: the word of one of them must not put it before the others.
    documentEndsSeconds: identity === undefined ? undefined : seconds(call.header(DOCUMENT_END_HEADER)[0]),
    endReason: nowMs => {
      if (call.endReason !== undefined || call.deadline === undefined || call.deadline.getTime() > nowMs)
        return call.endReason
      return new GrpcError('DEADLINE_EXCEEDED', 'the deadline passed before the signing work was begun')
    },
  }
}

function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined
}
