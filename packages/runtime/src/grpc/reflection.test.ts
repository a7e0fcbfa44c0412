import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { health, reflectionV1, reflectionV1alpha, workload } from '@plastron/api'
import type { Call } from './call.ts'
import { reflectionServices } from './reflection.ts'
import { EncodedMessage } from './service.ts'

type Question = reflectionV1.ServerReflectionRequest['messageRequest']

const { v1, v1alpha } = reflectionServices([workload.SpiffeWorkloadAPI, health.Health])

/** What reflection says to one question. */
async function ask(question: Question) {
  async function* requests() {
    yield create(reflectionV1.ServerReflectionRequestSchema, { host: 'h', messageRequest: question })
  }
  for await (const response of v1.serverReflectionInfo?.(requests(), {} as Call) ?? []) {
    assert.ok(!(response instanceof EncodedMessage))
    assert.equal(response.validHost, 'h')
    assert.equal(response.originalRequest?.host, 'h')
    const answer = response.messageResponse
    assert.ok(answer?.case)
    return answer as { case: string; value: Record<string, unknown> }
  }
  return assert.fail('no answer')
}

describe('AGT-WL-001 reflection', () => {
  test('lists the services, in both versions', async () => {
    const names = [
      'SpiffeWorkloadAPI',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]
    const { value } = await ask({ case: 'listServices', value: '*' })
    assert.deepEqual(
      value.service,
      names.map(name => ({ name })),
    )
    async function* requests() {
      yield create(reflectionV1alpha.ServerReflectionRequestSchema, {
        messageRequest: { case: 'listServices', value: '' },
      })
    }
    for await (const response of v1alpha.serverReflectionInfo?.(requests(), {} as Call) ?? []) {
      assert.ok(!(response instanceof EncodedMessage))
      assert.equal(response.messageResponse?.case, 'listServicesResponse')
    }
  })

  test('a symbol leads to files from which a client can build the service', async () => {
    for (const symbol of [
      'SpiffeWorkloadAPI',
      'SpiffeWorkloadAPI.FetchX509SVID',
      'X509SVID.x509_svid',
      'JWTBundlesResponse.BundlesEntry',
    ]) {
      const { value } = await ask({ case: 'fileContainingSymbol', value: symbol })
      const bytes = value.fileDescriptorProto as Uint8Array[]
      const files = bytes.map(file => fromBinary(FileDescriptorProtoSchema, file)).reverse()
      const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files }))
      assert.equal(registry.getService('SpiffeWorkloadAPI')?.method.fetchJWTSVID?.output.typeName, 'JWTSVIDResponse')
    }
  })

  test('a file is found by its name', async () => {
    const { value } = await ask({
      case: 'fileContainingSymbol',
      value: 'grpc.health.v1.HealthCheckResponse.NOT_SERVING',
    })
    const [first] = value.fileDescriptorProto as Uint8Array[]
    const { name } = fromBinary(FileDescriptorProtoSchema, first ?? assert.fail())
    const again = await ask({ case: 'fileByFilename', value: name })
    assert.deepEqual(again.value.fileDescriptorProto, value.fileDescriptorProto)
  })

  test('what does not exist is not found', async () => {
    for (const question of [
      { case: 'fileContainingSymbol', value: 'spire.api.server.entry.v1.Entry' },
      { case: 'fileByFilename', value: '../../etc/passwd' },
      { case: 'allExtensionNumbersOfType', value: 'No' },
      { case: 'fileContainingExtension', value: create(reflectionV1.ExtensionRequestSchema) },
    ] as const satisfies Question[]) {
      const answer = await ask(question)
      assert.equal(answer.case, 'errorResponse')
      assert.equal(answer.value.errorCode, 5)
    }
    assert.deepEqual((await ask({ case: 'allExtensionNumbersOfType', value: 'X509SVID' })).value.extensionNumber, [])
    assert.equal((await ask({ case: undefined })).value.errorCode, 3)
  })
})
