import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { createFileRegistry, type DescFile, type DescMessage, type FileRegistry, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import * as api from './index.ts'

/** Ours, by what the package exports. */
function ourFiles(): DescFile[] {
  const files = new Set<DescFile>()
  for (const namespace of Object.values(api))
    for (const [name, value] of Object.entries(namespace))
      if (name.startsWith('file_')) files.add(value as unknown as DescFile)
  return [...files]
}

/** One line for everything that the wire, proto-JSON or a caller's path depends on. */
function facts(files: Iterable<DescFile>): string[] {
  const lines: string[] = []
  const message = (desc: DescMessage) => {
    lines.push(`message ${desc.typeName}`)
    for (const field of desc.fields) {
      const { proto } = field
      const type = proto.typeName === '' ? String(proto.type) : proto.typeName
      const oneof = field.oneof ? ` oneof ${field.oneof.name}` : ''
      lines.push(
        `field ${desc.typeName}.${field.name} = ${field.number} type ${type} label ${proto.label} optional ${proto.proto3Optional}` +
          ` json ${field.jsonName}${oneof} deprecated ${field.deprecated}`,
      )
    }
    for (const nested of desc.nestedMessages) message(nested)
    for (const nested of desc.nestedEnums) enumeration(nested)
  }
  const enumeration = (desc: { typeName: string; values: readonly { name: string; number: number }[] }) => {
    lines.push(`enum ${desc.typeName}`)
    for (const value of desc.values) lines.push(`value ${desc.typeName}.${value.name} = ${value.number}`)
  }
  for (const file of files) {
    for (const desc of file.messages) message(desc)
    for (const desc of file.enums) enumeration(desc)
    for (const service of file.services) {
      lines.push(`service ${service.typeName}`)
      for (const method of service.methods)
        lines.push(
          `method ${service.typeName}.${method.name} ${method.methodKind} ${method.input.typeName} -> ${method.output.typeName}`,
        )
    }
  }
  return lines.sort()
}

/** Whether the public API has something to say about a file: it declares one of the same package. Plastron's own additions have none. */
const isPublic = (file: DescFile) => file.proto.package !== 'plastron.api.server.sync.v1'

const folder = resolve(import.meta.dirname, '../../../tests/interop/descriptors')

function peerRegistry(): FileRegistry | string {
  if (!existsSync(folder)) return 'the Go program is not part of this tree'
  const { status, stdout, stderr, error } = spawnSync('go', ['run', '.'], {
    cwd: folder,
    maxBuffer: 64 << 20,
    env: { ...process.env, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local' },
  })
  if (error) return `Go cannot be run: ${error.message}`
  if (status !== 0) return `the Go program cannot be built: ${String(stderr).slice(0, 500)}`
  const set = fromBinary(FileDescriptorSetSchema, stdout)
  set.file = importsFirst(set.file)
  return createFileRegistry(set)
}

/** A registry is made of files in an order in which each comes after those that it imports. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map(file => [file.name, file]))
  const ordered = new Set<FileDescriptorProto>()
  const add = (file: FileDescriptorProto | undefined) => {
    if (!file || ordered.has(file)) return
    for (const name of file.dependency) add(byName.get(name))
    ordered.add(file)
  }
  for (const file of files) add(file)
  return [...ordered]
}

describe('descriptors', () => {
  test('every message, field, enum, service and method is that of the public Go packages', context => {
    const peer = peerRegistry()
    if (typeof peer === 'string') {
      assert.ok(!process.env.CI, peer)
      return context.skip(peer)
    }
    const ours = ourFiles().filter(isPublic)
    const packages = new Set(ours.map(file => file.proto.package))
    const theirs = [...peer.files].filter(file => packages.has(file.proto.package))
    const [our, their] = [facts(ours), facts(theirs)]
    assert.ok(their.length > 700, `only ${their.length} facts were compared`)
    assert.deepEqual(our, their)
    // Nothing public is missing on our side, whole packages included; the binary log of gRPC is not an API.
    const missing = [...peer.files]
      .map(file => file.proto.package)
      .filter(name => !packages.has(name) && !/^(?:google\.protobuf|pb|grpc\.binarylog\.v1)$/.test(name))
    assert.deepEqual(missing, [])
  })

  test("the Workload API has no package, and the agent's debug API not the one of its folder", () => {
    assert.equal(api.workload.SpiffeWorkloadAPI.typeName, 'SpiffeWorkloadAPI')
    assert.equal(api.agentDebugV1.Debug.typeName, 'spire.agent.debug.v1.Debug')
    assert.equal(api.broker.API.typeName, 'spiffe.broker.API')
    assert.equal(api.syncV1.Sync.typeName, 'plastron.api.server.sync.v1.Sync')
    assert.equal(api.syncV1.Sync.method.watch.methodKind, 'server_streaming')
  })
})
