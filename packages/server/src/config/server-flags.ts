import { boolFlag, type FlagValues, intFlag, textFlag } from '@plastron/runtime/program'

/** The flags of `plastron-server run` and `plastron-server validate`. */
export const serverRunFlags = {
  bindAddress: textFlag('IP address or DNS name of the server'),
  config: textFlag('Path to a server config file'),
  dataDir: textFlag('Directory to store runtime data to'),
  expandEnv: boolFlag('Expand environment variables in the config file'),
  logFile: textFlag('File to write logs to'),
  logFormat: textFlag("'text' or 'json'"),
  logLevel: textFlag("'debug', 'info', 'warn', or 'error'"),
  logSourceLocation: boolFlag('Include source file, line number and function name in log lines'),
  serverPort: intFlag('Port number of the server'),
  socketPath: textFlag('Path to bind the server API socket to'),
  stopWhenStdinCloses: boolFlag('Stop when standard input ends, as for a child process whose parent is gone'),
  trustDomain: textFlag('The trust domain that this server belongs to'),
} as const

/** Values of {@link serverRunFlags}. */
export type ServerRunFlags = FlagValues<typeof serverRunFlags>

/** Which key each flag overrides. A flag that is empty, zero or false overrides nothing. */
export const serverFlagKeys: Readonly<Partial<Record<keyof ServerRunFlags, string>>> = {
  bindAddress: 'bind_address',
  dataDir: 'data_dir',
  logFile: 'log_file',
  logFormat: 'log_format',
  logLevel: 'log_level',
  logSourceLocation: 'log_source_location',
  serverPort: 'bind_port',
  socketPath: 'socket_path',
  trustDomain: 'trust_domain',
}
