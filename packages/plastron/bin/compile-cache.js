'use strict'
// Node's compile cache. Whoever can write it can run code as us, so it lies only where nobody else can.
const { existsSync, lstatSync, mkdirSync } = require('node:fs')
const module_ = require('node:module')
const { dirname } = require('node:path')

/**
 * Keeps what Node compiles in `folder`, made with mode 0700, if it is the caller's own and others cannot write to it. Root, whom somebody's
 * environment or checkout may have led there, takes it only if nobody else can change any folder above it either.
 * @param {string} folder
 */
function enableCompileCache(folder) {
  const uid = process.getuid?.()
  if (uid === undefined || module_.enableCompileCache === undefined) return
  try {
    if (uid === 0 && !isRootsAlone(nearestThatExists(folder))) return
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const stat = lstatSync(folder)
    if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) return
    module_.enableCompileCache(folder)
  } catch {
    // A cache that cannot be made costs some milliseconds; it must never keep a program from starting.
  }
}

/**
 * True when only root can change what lies at `path`: it and all folders above it are root's, and nobody else may write to them.
 * @param {string} path
 * @returns {boolean}
 */
function isRootsAlone(path) {
  const stat = lstatSync(path)
  if (!stat.isDirectory() || stat.uid !== 0 || (stat.mode & 0o022) !== 0) return false
  const above = dirname(path)
  return above === path || isRootsAlone(above)
}

/**
 * @param {string} path
 * @returns {string}
 */
function nearestThatExists(path) {
  return existsSync(path) ? path : nearestThatExists(dirname(path))
}

exports.enableCompileCache = enableCompileCache
