'use strict'
// Loads what the build made: a bundle is one CommonJS file and, beside it, its form as V8 compiled it. That form comes with the package and is as
// trusted as the code. It is of one version of V8; with another, Node compiles the code and keeps the result in a cache of the user's own.
const { readFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const vm = require('node:vm')

/** @type {Map<string, { exports: unknown }>} */
const loaded = new Map()
let hasUserCache = false

/**
 * Where the compiled form of the bundle `file` lies for the Node that runs.
 * @param {string} file
 */
function compiledFormPath(file) {
  return `${file}.${process.versions.v8}-${process.arch}.cache`
}

/**
 * Runs the bundle at the absolute path `file`, once in this thread, and returns what it exports.
 * @param {string} file
 * @returns {unknown}
 */
function loadBundle(file) {
  const known = loaded.get(file)
  if (known !== undefined) return known.exports
  let cachedData
  try {
    cachedData = readFileSync(compiledFormPath(file))
  } catch {
    enableUserCache()
    return require(file)
  }
  const module = { exports: {} }
  loaded.set(file, module)
  const folder = dirname(file)
  // A bundle names its neighbours as ./name.js; all else is a part of Node or an installed package, which lies where it does for this file.
  const requireFromBundle = name => (name.startsWith('./') ? loadBundle(join(folder, name)) : require(name))
  // Bundles are ASCII: the build escapes all else.
  const source = `(function(exports,require,module,__filename,__dirname){${readFileSync(file, 'latin1')}\n})`
  const script = new vm.Script(source, { filename: file, cachedData })
  script.runInThisContext()(module.exports, requireFromBundle, module, file, folder)
  return module.exports
}

function enableUserCache() {
  const home = process.env.HOME
  if (hasUserCache || !home) return
  hasUserCache = true
  const folder = join(process.env.XDG_CACHE_HOME || join(home, '.cache'), 'plastron-compile-cache')
  require('./compile-cache.js').enableCompileCache(folder)
}

exports.compiledFormPath = compiledFormPath
exports.loadBundle = loadBundle
