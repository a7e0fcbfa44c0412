import { execFileSync } from 'node:child_process'

/**
 * The seed of a run: the commit that is checked out, so that every commit tries other inputs and anybody can try them again. Without git
 * (an unpacked archive) it is a fixed word.
 */
export function seedOfCommit(folder: string): string {
  try {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] })
    return commit.toString().trim().slice(0, 12)
  } catch {
    return 'no-commit'
  }
}
