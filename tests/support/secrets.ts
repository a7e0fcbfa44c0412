import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

/** What no log may have, whoever's it is. */
const patterns = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  // A signed token: header, payload and signature in base64url.
  /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}/,
  // How PKCS#8 of EC and RSA keys begins, in base64.
  /MIG[HT]AgEAMBMGByqG|MIG2AgEAMBAGByqG|MII[A-J][\w+/]{2}IBADANBgkqhkiG/,
]

/** A spent join token is the public name of the agent that spent it. */
const spentToken = /\/spire\/agent\/join_token\/[^\s"',\]}]+/g

/** Fails if a file has one of `secrets`, or what looks like a private key or a token. Never shows what it found. */
export function assertNoSecrets(files: readonly string[], secrets: Readonly<Record<string, readonly string[]>>): void {
  for (const file of files) {
    const lines = readFileSync(file, 'utf8').replaceAll(spentToken, '/spire/agent/join_token/…').split('\n')
    for (const [number, line] of lines.entries()) {
      for (const pattern of patterns) assert.ok(!pattern.test(line), `${file}:${number + 1} matches ${pattern}`)
      for (const [name, values] of Object.entries(secrets))
        for (const value of values)
          assert.ok(value.length < 8 || !line.includes(value), `${file}:${number + 1} has a ${name}`)
    }
  }
}
