/** What one operation or holding costs a server, measured on one machine. */
export interface ServerCosts {
  /** CPU time of an agent's attestation over TLS, with its join token and first entries; a renewal on a new connection costs no more. */
  readonly attestMicroseconds: number
  /** CPU time of an X509-SVID that an agent asks for in a batch. */
  readonly x509Microseconds: number
  /** CPU time of a JWT-SVID that an agent asks for. */
  readonly jwtMicroseconds: number
  /** CPU time of an entry created. */
  readonly entryMicroseconds: number
  /** CPU of one agent on push while nothing but renewals happens, in percent of one core. */
  readonly watchPercent: number
  /** Resident bytes of one agent on push. */
  readonly agentBytes: number
  /** Resident bytes of one entry. */
  readonly entryBytes: number
  /** Resident bytes of a server with nothing in it. */
  readonly baseBytes: number
}

/** What is assumed of a deployment. */
export interface Assumptions {
  /** Workloads on a node, each with an X509-SVID. */
  readonly workloadsPerAgent: number
  readonly x509LifetimeSeconds: number
  /** JWT-SVIDs in use on a node at a time. */
  readonly jwtsPerAgent: number
  readonly jwtLifetimeSeconds: number
  /** Entries for each agent; entries for groups of nodes count once. */
  readonly entriesPerAgent: number
  /** Entries that change in a second for each 10,000 agents, and how many agents each concerns. */
  readonly changesPerSecond: number
  readonly agentsPerChange: number
  /** CPU time of writing one delta to one agent: taken as that of one held message. */
  readonly deltaMicroseconds: number
  readonly coresPerServer: number
  /** How much of a server's cores may be in use in ordinary times. */
  readonly utilisation: number
  /** In how long all agents can come back and get all their documents anew after an outage. */
  readonly recoverySeconds: number
  /** How much more memory a server is given than it holds in ordinary times. */
  readonly memoryHeadroom: number
  /** Agents of one trust domain's region: how many one database and its servers carry. */
  readonly agentsPerRegion: number
}

/** What one region needs. */
export interface RegionNeeds {
  readonly agents: number
  readonly entries: number
  /** Cores in use by each kind of work, over all servers. */
  readonly cores: Readonly<Record<string, number>>
  readonly totalCores: number
  /** Servers for ordinary times, for a return of all agents at once, and with one to spare: the larger, plus one. */
  readonly serversForWork: number
  readonly serversForReturn: number
  readonly servers: number
  readonly agentsPerServer: number
  readonly memoryGibPerServer: number
  readonly databaseWritesPerSecond: number
}

/** How many regions there are and what each needs. */
export interface Needs {
  readonly regions: number
  readonly region: RegionNeeds
}

/** Computes what a number of agents needs. All are divided evenly. */
export function needsOf(agents: number, costs: ServerCosts, assumed: Assumptions): Needs {
  const regions = Math.ceil(agents / assumed.agentsPerRegion)
  return { regions, region: regionNeeds(Math.ceil(agents / regions), costs, assumed) }
}

function regionNeeds(agents: number, costs: ServerCosts, assumed: Assumptions): RegionNeeds {
  const entries = agents * assumed.entriesPerAgent
  const changes = (assumed.changesPerSecond * agents) / 10_000
  const perSecond = (count: number, microseconds: number) => (count * microseconds) / 1e6
  // Documents are renewed at half of their life.
  const x509PerSecond = (agents * assumed.workloadsPerAgent) / (assumed.x509LifetimeSeconds / 2)
  const jwtsPerSecond = (agents * assumed.jwtsPerAgent) / (assumed.jwtLifetimeSeconds / 2)
  const renewalsPerSecond = agents / (assumed.x509LifetimeSeconds / 2)
  const cores = {
    'agents on push, with their own renewals': (agents * costs.watchPercent) / 100,
    "workloads' X509-SVIDs": perSecond(x509PerSecond, costs.x509Microseconds),
    "workloads' JWT-SVIDs": perSecond(jwtsPerSecond, costs.jwtMicroseconds),
    'changes of entries': perSecond(changes, costs.entryMicroseconds),
    'changes told to agents': perSecond(changes * assumed.agentsPerChange, assumed.deltaMicroseconds),
  }
  const totalCores = Object.values(cores).reduce((sum, one) => sum + one, 0)
  const { coresPerServer, utilisation, recoverySeconds } = assumed
  const serversForWork = Math.ceil(totalCores / (coresPerServer * utilisation))
  const returning = perSecond(agents, costs.attestMicroseconds + assumed.workloadsPerAgent * costs.x509Microseconds)
  const serversForReturn = Math.ceil(returning / (recoverySeconds * coresPerServer))
  const servers = Math.max(serversForWork, serversForReturn) + 1
  // With one server away the others carry its agents.
  const agentsPerServer = Math.ceil(agents / (servers - 1))
  const memory = costs.baseBytes + entries * costs.entryBytes + agentsPerServer * costs.agentBytes
  return {
    agents,
    entries,
    cores,
    totalCores,
    serversForWork,
    serversForReturn,
    servers,
    agentsPerServer,
    memoryGibPerServer: (memory * assumed.memoryHeadroom) / 2 ** 30,
    databaseWritesPerSecond: renewalsPerSecond + changes,
  }
}
