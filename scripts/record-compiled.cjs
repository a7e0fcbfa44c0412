'use strict'
// node --require scripts/record-compiled.cjs <launcher> <arguments>: at the end of the process, and while each of its threads runs, writes V8's compiled
// form of every bundle, with the functions that it used, beside the bundle. A form that lies there already is taken up and grows.
const { chmodSync, writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { setFlagsFromString } = require('node:v8')
const vm = require('node:vm')
const { isMainThread } = require('node:worker_threads')

const { Script } = vm
const bundles = new Map()

vm.Script = class extends Script {
  constructor(code, options) {
    // An empty form stands for none yet.
    super(code, { ...options, cachedData: options.cachedData?.length > 0 ? options.cachedData : undefined })
    bundles.set(options.filename, this)
  }
}

function record() {
  // A compiled form is of the flags at this moment, and a daemon changes these while it runs: here they are what they are at its start.
  setFlagsFromString('--gc-memory-reducer-start-delay-ms=8000')
  setFlagsFromString('--semi-space-growth-factor=2')
  for (const [file, script] of bundles) {
    const path = require(join(dirname(file), '../bin/load-bundle.js')).compiledFormPath(file)
    writeFileSync(path, script.createCachedData())
    chmodSync(path, 0o644)
  }
}

if (isMainThread) process.on('exit', record)
// A thread may be ended from outside, and then is not told.
else setInterval(record, 200).unref()
