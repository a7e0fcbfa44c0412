import type { Command, CommandEntry } from '@plastron/runtime/program'

function entry(name: string, summary: string, load: () => Promise<Command>): CommandEntry {
  return { name, summary, load }
}

/** Every command of plastron-server. A command's module is loaded only when it is called, which keeps each one quick to start. */
export const serverCommands: readonly CommandEntry[] = [
  entry('run', 'Runs the server', async () => (await import('./run.ts')).run),
  entry('validate', 'Validates a server configuration file', async () => (await import('./validate.ts')).validate),
  entry('healthcheck', 'Determines server health status', async () => (await import('./healthcheck.ts')).healthcheck),
  entry('entry create', 'Creates registration entries', async () => (await import('./entry-create.ts')).entryCreate),
  entry(
    'entry show',
    'Displays configured registration entries',
    async () => (await import('./entry-show.ts')).entryShow,
  ),
  entry('entry update', 'Updates registration entries', async () => (await import('./entry-update.ts')).entryUpdate),
  entry('entry delete', 'Deletes registration entries', async () => (await import('./entry-delete.ts')).entryDelete),
  entry('entry count', 'Counts registration entries', async () => (await import('./entry-count.ts')).entryCount),
  entry(
    'agent list',
    'Lists attested agents and their SPIFFE IDs',
    async () => (await import('./agent-list.ts')).agentList,
  ),
  entry(
    'agent show',
    'Shows an attested agent given its SPIFFE ID',
    async () => (await import('./agent-show.ts')).agentShow,
  ),
  entry(
    'agent evict',
    'Evicts an attested agent; it may attest again',
    async () => (await import('./agent-evict.ts')).agentEvict,
  ),
  entry(
    'agent ban',
    'Bans an attested agent until it is evicted',
    async () => (await import('./agent-ban.ts')).agentBan,
  ),
  entry(
    'agent purge',
    'Purges agents whose SVIDs expired long ago',
    async () => (await import('./agent-purge.ts')).agentPurge,
  ),
  entry('agent count', 'Counts attested agents', async () => (await import('./agent-count.ts')).agentCount),
  entry('token generate', 'Generates a join token', async () => (await import('./token-generate.ts')).tokenGenerate),
  entry('bundle show', 'Prints server CA bundle to stdout', async () => (await import('./bundle-show.ts')).bundleShow),
  entry('bundle list', 'Lists federated bundle data', async () => (await import('./bundle-list.ts')).bundleList),
  entry(
    'bundle set',
    'Creates or updates federated bundle data',
    async () => (await import('./bundle-set.ts')).bundleSet,
  ),
  entry(
    'bundle delete',
    'Deletes federated bundle data',
    async () => (await import('./bundle-delete.ts')).bundleDelete,
  ),
  entry(
    'bundle count',
    "Counts bundles, the server's own included",
    async () => (await import('./bundle-count.ts')).bundleCount,
  ),
  entry('x509 mint', 'Mints an X509-SVID', async () => (await import('./x509-mint.ts')).x509Mint),
  entry('jwt mint', 'Mints a JWT-SVID', async () => (await import('./jwt-mint.ts')).jwtMint),
  entry('wit mint', 'Mints a WIT-SVID', async () => (await import('./wit-mint.ts')).witMint),
  ...(['x509', 'jwt', 'wit'] as const).flatMap(kind => [
    entry(`localauthority ${kind} show`, 'Shows the local authorities', async () => {
      return (await import('./localauthority.ts')).localAuthorityShow(kind)
    }),
    entry(`localauthority ${kind} prepare`, 'Prepares a new authority', async () => {
      return (await import('./localauthority.ts')).localAuthorityPrepare(kind)
    }),
    ...(['activate', 'taint', 'revoke'] as const).map(verb =>
      entry(`localauthority ${kind} ${verb}`, `To ${verb} a local authority`, async () => {
        return (await import('./localauthority.ts')).localAuthorityChange(kind, verb)
      }),
    ),
  ]),
  entry('logger get', 'Gets the logger details', async () => (await import('./logger.ts')).loggerGet),
  entry('logger set', 'Sets the logger details', async () => (await import('./logger.ts')).loggerSet),
  entry(
    'logger reset',
    'Resets the logger details to launch level',
    async () => (await import('./logger.ts')).loggerReset,
  ),
  entry(
    'debug getinfo',
    'Returns debug information of the server',
    async () => (await import('./debug-getinfo.ts')).debugGetInfo,
  ),
]
