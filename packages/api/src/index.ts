/**
 * Messages and service descriptors of every API that Plastron serves or calls, one namespace per API. Everything in a namespace is generated
 * from `proto/`: `entryV1.Entry` is the service, `types.EntrySchema` and `types.Entry` are a message's schema and type.
 */

export * as rpc from './gen/google/rpc/status_pb.ts'
export * as health from './gen/grpc/health/v1/health_pb.ts'
export * as reflectionV1 from './gen/grpc/reflection/v1/reflection_pb.ts'
export * as reflectionV1alpha from './gen/grpc/reflection/v1alpha/reflection_pb.ts'
export * as syncV1 from './gen/plastron/api/server/sync/v1/sync_pb.ts'
export * as broker from './gen/spiffe/broker/broker_pb.ts'
export * as workload from './gen/spiffe/workload/workload_pb.ts'
export * as agentDebugV1 from './gen/spire/api/agent/debug/v1/debug_pb.ts'
export * as delegatedIdentityV1 from './gen/spire/api/agent/delegatedidentity/v1/delegatedidentity_pb.ts'
export * as agentLoggerV1 from './gen/spire/api/agent/logger/v1/logger_pb.ts'
export * as agentV1 from './gen/spire/api/server/agent/v1/agent_pb.ts'
export * as bundleV1 from './gen/spire/api/server/bundle/v1/bundle_pb.ts'
export * as debugV1 from './gen/spire/api/server/debug/v1/debug_pb.ts'
export * as entryV1 from './gen/spire/api/server/entry/v1/entry_pb.ts'
export * as localauthorityV1 from './gen/spire/api/server/localauthority/v1/localauthority_pb.ts'
export * as loggerV1 from './gen/spire/api/server/logger/v1/logger_pb.ts'
export * as svidV1 from './gen/spire/api/server/svid/v1/svid_pb.ts'
export * as trustdomainV1 from './gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts'
export * as types from './types.ts'
