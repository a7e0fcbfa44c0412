import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DescFile, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import * as api from '@plastron/api'
import { build } from 'esbuild'
import { embeddedDescriptors } from '../../scripts/embedded-descriptors.ts'
import { repositoryRoot } from '../support/cluster.ts'

/** The files that a namespace of the API describes, and those that they import, by name. */
function filesOf(namespaces: object): Map<string, DescFile> {
  const files = new Map<string, DescFile>()
  const add = (file: DescFile): void => {
    files.set(file.name, file)
    for (const dependency of file.dependencies) add(dependency)
  }
  for (const namespace of Object.values(namespaces) as object[])
    for (const member of Object.values(namespace) as { kind?: unknown; file?: DescFile }[])
      if (member?.kind === 'file') add(member as unknown as DescFile)
      else if (member?.file !== undefined) add(member.file)
  return files
}

test('the descriptors in a bundle are those of the generated code', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plastron-descriptors-'))
  try {
    const outfile = join(folder, 'api.cjs')
    await build({
      entryPoints: [join(repositoryRoot, 'packages/api/src/index.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      plugins: [embeddedDescriptors],
    })
    const bundled = filesOf(createRequire(outfile)(outfile) as object)
    const generated = filesOf(api)
    assert.ok(generated.size > 20)
    assert.deepEqual([...bundled.keys()].toSorted(), [...generated.keys()].toSorted())
    for (const [name, { proto, edition, messages, enums, services }] of generated) {
      const other = bundled.get(name)
      assert.ok(other !== undefined)
      assert.deepEqual(
        Buffer.from(toBinary(FileDescriptorProtoSchema, other.proto)),
        Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
        name,
      )
      assert.equal(other.edition, edition)
      assert.deepEqual(other.enums.map(String), enums.map(String))
      assert.deepEqual(other.services.map(String), services.map(String))
      assert.deepEqual(
        other.messages.map(message => message.fields.map(describe)),
        messages.map(message => message.fields.map(describe)),
      )
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

function describe(field: DescFile['messages'][number]['fields'][number]): object {
  const { name, localName, jsonName, number, fieldKind, presence } = field
  return { name, localName, jsonName, number, fieldKind, presence, oneof: field.oneof?.name }
}
