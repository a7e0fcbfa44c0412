/**
 * The request header that tells a server which is asked for too much at once what cannot wait: when the document ends that is to be replaced, or the
 * first of several. Empty if one of them is the first of its kind: the server orders that by when it is asked for.
 */
export function documentEnd(endsAt: Date | undefined): Record<string, string> {
  return endsAt === undefined ? {} : { 'plastron-expires-at': String(Math.floor(endsAt.getTime() / 1000)) }
}
