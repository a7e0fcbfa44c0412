export {
  type Authorizer,
  authorizeAny,
  authorizeId,
  authorizeMatcher,
  authorizeMemberOf,
  authorizeOneOf,
} from './authorizer.ts'
export { type ConnectTlsOptions, connectTls, type VerifiedConnection, type X509BundleCollection } from './connect.ts'
export { SpiffeHttpsAgent, type SpiffeHttpsAgentOptions } from './https-agent.ts'
export { type LifetimeOptions, limitLifetime } from './lifetime.ts'
export { tlsClientOptions, tlsServerOptions } from './options.ts'
export { peerOf, presentedChain, verifyPeer } from './peer.ts'
export { SpiffeTlsServer, type SpiffeTlsServerOptions } from './server.ts'
