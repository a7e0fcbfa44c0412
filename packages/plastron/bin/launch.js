'use strict'
// Plain JavaScript that any Node from version 18 on can read: it checks the version, then loads the program, or says
// in one sentence what to do. It sets what must be set before anything else is loaded.
const { existsSync } = require('node:fs')
const { availableParallelism } = require('node:os')
const { join } = require('node:path')

const requiredMajor = 24

/** @param {'server' | 'agent' | 'plastron'} program */
function launch(program) {
  // libuv reads it at its first use. Two threads more than cores, so that two hung file reads cannot stop all signing. The server has as many as
  // cores: nothing but its own writes to its data folder can hang there, one at a time, and every further thread costs 4 % of its signing rate.
  const cores = availableParallelism()
  process.env.UV_THREADPOOL_SIZE = String(program === 'server' ? Math.max(2, cores) : cores + 2)
  // Node's default for SIGUSR1 opens a debugger port to every local user. The daemons replace this handler by theirs.
  if (process.platform !== 'win32') process.on('SIGUSR1', () => undefined)

  const major = Number(process.versions.node.split('.')[0])
  if (!(major >= requiredMajor)) {
    process.stderr.write(
      `Plastron needs Node ${requiredMajor} or newer and this is Node ${process.versions.node}: start it with npx or npm run from a folder where it is installed, or put a newer node first in PATH.\n`,
    )
    process.exitCode = 1
    return
  }
  // Built files lie in lib/ (a published package); a checkout has only src/.
  const built = join(__dirname, '../lib', `${program}-main.js`)
  if (existsSync(built)) require('./load-bundle.js').loadBundle(built)
  else require('./load-sources.js').loadSources(join(__dirname, '../src', `${program}-main.ts`))
}

exports.launch = launch
