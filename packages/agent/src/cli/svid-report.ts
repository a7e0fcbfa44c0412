import type * as workload from '@plastron/api/workload'
import { goDuration, goUtcTime } from '@plastron/runtime/cli'
import { SpiffeId, TrustDomain, verifyX509Svid, X509Bundle, X509Svid } from '@plastron/spiffe'

/** An X509-SVID of a reply with the bundle it was verified against. */
interface ReportedSvid {
  readonly svid: X509Svid
  readonly hint: string
  readonly bundle: X509Bundle
}

/** What an X.509 reply holds, parsed and verified. */
export interface SvidReport {
  readonly svids: readonly ReportedSvid[]
  /** By the name of the trust domain, sorted. */
  readonly federated: readonly X509Bundle[]
}

/**
 * Parses a reply of the Workload API and verifies every X509-SVID against its own bundle.
 *
 * @throws SpiffeError for whatever does not parse or verify.
 */
export async function readSvidReport(response: workload.X509SVIDResponse, now: Date): Promise<SvidReport> {
  const svids: ReportedSvid[] = []
  for (const { spiffeId, x509Svid, x509SvidKey, bundle: bundleDer, hint } of response.svids) {
    const id = SpiffeId.parse(spiffeId)
    const bundle = X509Bundle.parseDer(id.trustDomain, bundleDer)
    const svid = X509Svid.parseDer(x509Svid, x509SvidKey, hint)
    await verifyX509Svid(svid.certificates, bundle, { now })
    svids.push({ svid, hint, bundle })
  }
  const federated = Object.entries(response.federatedBundles)
    .map(([name, der]) => X509Bundle.parseDer(TrustDomain.parse(name), der))
    .toSorted((a, b) => (a.trustDomain.name < b.trustDomain.name ? -1 : 1))
  return { svids, federated }
}

/** The text that `api fetch x509` and `api watch` print. */
export function svidReportText(report: SvidReport, elapsedMs: number): string {
  const count = report.svids.length
  let text = `Received ${count} svid${count === 1 ? '' : 's'} after ${goDuration(elapsedMs)}\n\n`
  for (const { svid, hint, bundle } of report.svids) {
    const [leaf, ...intermediates] = svid.certificates
    text += `SPIFFE ID:\t\t${svid.id}\n`
    if (hint !== '') text += `Hint:\t\t\t${hint}\n`
    if (leaf !== undefined) text += validity('SVID', leaf)
    intermediates.forEach((certificate, index) => {
      text += validity(`Intermediate #${index + 1}`, certificate)
    })
    bundle.x509Authorities.forEach((certificate, index) => {
      text += validity(`CA #${index + 1}`, certificate)
    })
    for (const foreign of report.federated) {
      foreign.x509Authorities.forEach((certificate, index) => {
        text += validity(`[${foreign.trustDomain.id()}] CA #${index + 1}`, certificate)
      })
    }
    text += '\n'
  }
  return text
}

function validity(what: string, certificate: { readonly notBefore: Date; readonly notAfter: Date }): string {
  return `${what} Valid After:\t${goUtcTime(certificate.notBefore)}\n${what} Valid Until:\t${goUtcTime(certificate.notAfter)}\n`
}
