import { createCertificateRequest, PrivateKey } from '@plastron/pki'

/** So many distinct keys that no cache of verified requests can help. */
export const distinctKeys = 1000

/** Certificate requests, each with a key of its own; with the SPIFFE ID, if one is given. */
export function certificateRequests(count: number, id?: string): Promise<Uint8Array[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const signer = await PrivateKey.generate('ec-p256')
      return createCertificateRequest(id === undefined ? { signer } : { signer, uris: [id] })
    }),
  )
}

/** The item of a list whose place the number has when it goes round. */
export function cycle<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T
}
