import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { reflectionV1, reflectionV1alpha } from '@plastron/api'
import type { Handlers } from './service.ts'
import { grpcCodes } from './status-code.ts'

type Question =
  | reflectionV1.ServerReflectionRequest['messageRequest']
  | reflectionV1alpha.ServerReflectionRequest['messageRequest']

/** What reflection says, apart from the question that it answers. */
type Answer =
  | { case: 'listServicesResponse'; value: { service: { name: string }[] } }
  | { case: 'fileDescriptorResponse'; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: 'allExtensionNumbersResponse'; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: 'errorResponse'; value: { errorCode: number; errorMessage: string } }

/**
 * The two services by which tools such as grpcurl find out what a server offers. They describe the given services and themselves, and nothing
 * that is not public.
 */
export function reflectionServices(services: readonly DescService[]): {
  readonly v1: Handlers<typeof reflectionV1.ServerReflection>
  readonly v1alpha: Handlers<typeof reflectionV1alpha.ServerReflection>
} {
  const all = [...services, reflectionV1.ServerReflection, reflectionV1alpha.ServerReflection]
  const index = new ReflectionIndex(all)
  return {
    v1: {
      async *serverReflectionInfo(requests) {
        for await (const request of requests)
          yield {
            validHost: request.host,
            originalRequest: request,
            messageResponse: index.answer(request.messageRequest),
          }
      },
    },
    v1alpha: {
      async *serverReflectionInfo(requests) {
        for await (const request of requests)
          yield {
            validHost: request.host,
            originalRequest: request,
            messageResponse: index.answer(request.messageRequest),
          }
      },
    },
  }
}

class ReflectionIndex {
  readonly #names: string[]
  readonly #files = new Map<string, DescFile>()
  /** The file of each service, method, message, field, oneof, enum and value, by full name. */
  readonly #symbols = new Map<string, DescFile>()
  readonly #messages = new Set<string>()

  constructor(services: readonly DescService[]) {
    this.#names = services.map(service => service.typeName).sort()
    for (const service of services) this.#addFile(service.file)
  }

  answer(question: Question): Answer {
    switch (question.case) {
      case 'listServices':
        return { case: 'listServicesResponse', value: { service: this.#names.map(name => ({ name })) } }
      case 'fileByFilename':
        return fileAnswer(this.#files.get(question.value))
      case 'fileContainingSymbol':
        return fileAnswer(this.#symbols.get(question.value))
      case 'allExtensionNumbersOfType':
        // None of the APIs has extensions.
        if (!this.#messages.has(question.value)) return notFound()
        return {
          case: 'allExtensionNumbersResponse',
          value: { baseTypeName: question.value, extensionNumber: [] },
        }
      case 'fileContainingExtension':
        return notFound()
      default:
        return {
          case: 'errorResponse',
          value: { errorCode: grpcCodes.INVALID_ARGUMENT, errorMessage: 'the request asks nothing' },
        }
    }
  }

  #addFile(file: DescFile): void {
    const name = file.proto.name
    if (this.#files.has(name)) return
    this.#files.set(name, file)
    const prefix = file.proto.package === '' ? '' : `${file.proto.package}.`
    const enumeration = (scope: string, desc: { name: string; value: { name: string }[] }) => {
      this.#symbols.set(`${scope}${desc.name}`, file)
      // The values of an enum live beside it, not in it.
      for (const value of desc.value) this.#symbols.set(`${scope}${value.name}`, file)
    }
    const message = (scope: string, desc: (typeof file.proto.messageType)[number]) => {
      const full = `${scope}${desc.name}`
      this.#symbols.set(full, file)
      this.#messages.add(full)
      for (const member of [...desc.field, ...desc.oneofDecl]) this.#symbols.set(`${full}.${member.name}`, file)
      for (const nested of desc.nestedType) message(`${full}.`, nested)
      for (const nested of desc.enumType) enumeration(`${full}.`, nested)
    }
    for (const desc of file.proto.messageType) message(prefix, desc)
    for (const desc of file.proto.enumType) enumeration(prefix, desc)
    for (const service of file.proto.service) {
      this.#symbols.set(`${prefix}${service.name}`, file)
      for (const method of service.method) this.#symbols.set(`${prefix}${service.name}.${method.name}`, file)
    }
    for (const dependency of file.dependencies) this.#addFile(dependency)
  }
}

/** The file and all that it imports, the imported ones last. */
function fileAnswer(file: DescFile | undefined): Answer {
  if (!file) return notFound()
  const files = new Set<DescFile>()
  const add = (one: DescFile) => {
    if (files.has(one)) return
    files.add(one)
    for (const dependency of one.dependencies) add(dependency)
  }
  add(file)
  const fileDescriptorProto = [...files].map(one => toBinary(FileDescriptorProtoSchema, one.proto))
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
}

function notFound(): Answer {
  return { case: 'errorResponse', value: { errorCode: grpcCodes.NOT_FOUND, errorMessage: 'not found' } }
}
