export { FakeSpiffeClock } from './fake-clock.ts'
export { FakeIdentities, type FakeIdentitiesOptions, type FakeIdentity } from './fake-identities.ts'
export { type FakeCall, FakeWorkloadApi, type FakeWorkloadApiOptions } from './fake-workload-api.ts'
export {
  TestAuthority,
  type TestAuthorityOptions,
  type TestTokenOptions,
  type TestX509Options,
} from './test-authority.ts'
