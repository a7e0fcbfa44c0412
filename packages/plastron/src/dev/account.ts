import { styleText } from 'node:util'
import { goDuration } from '@plastron/runtime/cli'

/** What a development trust domain has to tell once it works. */
export interface Account {
  readonly trustDomain: string
  readonly spiffeId: string
  readonly uid: number
  readonly nodeId: string
  readonly x509ExpiresAt: Date
  readonly jwtExpiresAt: Date
  readonly jwtAudience: string
  readonly agentSocketPath: string
  readonly agentAdminSocketPath: string
  readonly serverSocketPath: string
  readonly folder: string
  readonly ephemeral: boolean
  readonly resumed: boolean
  readonly elapsedMs: number
  readonly now: Date
}

/** A short account that a person reads and pastes from. Colours only where `colour` says that somebody sees them. */
export function accountText(account: Account, colour: boolean): string {
  const strong = (text: string) => (colour ? styleText('bold', text, { validateStream: false }) : text)
  const left = (until: Date) => goDuration(Math.floor((until.getTime() - account.now.getTime()) / 1000) * 1000)
  const socket = shellWord(account.serverSocketPath)
  const agent = shellWord(account.agentSocketPath)
  return `
${strong('Your trust domain is up')} (${(account.elapsedMs / 1000).toFixed(1)} s${account.resumed ? ', taken up again' : ''})

  Trust domain   ${account.trustDomain}
  You            ${strong(account.spiffeId)}   (because your user id is ${account.uid})
  X509-SVID      verified, expires ${account.x509ExpiresAt.toISOString()} (in ${left(account.x509ExpiresAt)}; the agent renews it)
  JWT-SVID       verified, for audience "${account.jwtAudience}", expires ${account.jwtExpiresAt.toISOString()} (in ${left(account.jwtExpiresAt)})
  Workload API   unix://${account.agentSocketPath}
  State          ${account.folder}${account.ephemeral ? ' (removed at the end)' : ''}

${strong('For any SPIFFE library in another shell:')}

  export SPIFFE_ENDPOINT_SOCKET=unix://${account.agentSocketPath}

${strong('What to try next, in another shell:')}

  npx plastron-agent api fetch x509 -socketPath ${agent}
  npx plastron-agent api fetch jwt -audience my-service -socketPath ${agent}
  npx plastron-server entry show -socketPath ${socket}
  npx plastron-server entry create -socketPath ${socket} -parentID ${account.nodeId} -spiffeID spiffe://${account.trustDomain}/my-service -selector unix:uid:${account.uid}
  npx plastron-agent debug getinfo -socketPath ${shellWord(account.agentAdminSocketPath)}

Ctrl-C stops everything.${account.ephemeral ? '' : ' The next start takes the same trust domain up again.'}
`
}

/** As a shell reads it: bare when nothing in it is special. */
function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
