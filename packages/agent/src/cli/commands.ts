import type { Command, CommandEntry } from '@plastron/runtime/program'

function entry(name: string, summary: string, load: () => Promise<Command>): CommandEntry {
  return { name, summary, load }
}

/** Every command of plastron-agent. A command's module is loaded only when it is called, which keeps each one quick to start. */
export const agentCommands: readonly CommandEntry[] = [
  entry('run', 'Runs the agent', async () => (await import('./run.ts')).run),
  entry('validate', 'Validates an agent configuration file', async () => (await import('./validate.ts')).validate),
  entry('healthcheck', 'Determines agent health status', async () => (await import('./healthcheck.ts')).healthcheck),
  entry('api fetch', 'The same as api fetch x509', async () => (await import('./api-fetch-x509.ts')).apiFetchX509),
  entry(
    'api fetch x509',
    'Fetches X509 SVIDs from the Workload API',
    async () => (await import('./api-fetch-x509.ts')).apiFetchX509,
  ),
  entry(
    'api fetch jwt',
    'Fetches a JWT SVID from the Workload API',
    async () => (await import('./api-fetch-jwt.ts')).apiFetchJwt,
  ),
  entry(
    'api fetch wit',
    'Fetches WIT SVIDs from the Workload API',
    async () => (await import('./api-fetch-wit.ts')).apiFetchWit,
  ),
  entry('api validate jwt', 'Validates a JWT SVID', async () => (await import('./api-validate-jwt.ts')).apiValidateJwt),
  entry(
    'api watch',
    'Prints updates of the Workload API as they come',
    async () => (await import('./api-watch.ts')).apiWatch,
  ),
  entry('logger get', 'Gets the logger details', async () => (await import('./logger.ts')).loggerGet),
  entry('logger set', 'Sets the logger details', async () => (await import('./logger.ts')).loggerSet),
  entry(
    'logger reset',
    'Resets the logger details to launch level',
    async () => (await import('./logger.ts')).loggerReset,
  ),
  entry(
    'debug getinfo',
    'Returns debug information of the agent',
    async () => (await import('./debug-getinfo.ts')).debugGetInfo,
  ),
]
