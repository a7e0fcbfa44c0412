import { BlockList, isIP } from 'node:net'
import { ListenerError } from './listener-error.ts'

/** A set of IP networks. */
export class AddressSet {
  readonly #list = new BlockList()
  /** How many networks the set was made from. */
  readonly size: number

  /**
   * @param networks in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`
   * @throws {ListenerError} `ERR_LISTEN_ADDRESS` for one that is not
   */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', prefix = '', ...rest] = network.split('/')
      const version = isIP(address)
      const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN
      if (version === 0 || rest.length > 0 || !(bits <= (version === 4 ? 32 : 128)))
        throw new ListenerError('ERR_LISTEN_ADDRESS', `${JSON.stringify(network)} is not a network in CIDR notation`)
      this.#list.addSubnet(address, bits, version === 4 ? 'ipv4' : 'ipv6')
    }
    this.size = networks.length
  }

  /** Whether one of the networks has the address. IPv4 addresses written as IPv6 ones are looked up as what they are. */
  has(address: string): boolean {
    const plain = unmapped(address)
    return this.#list.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6')
  }
}

/** An address as it is compared and shown: `::ffff:192.0.2.1` is `192.0.2.1`, and the zone of a link-local address is left out. */
export function unmapped(address: string): string {
  const withoutZone = address.split('%', 1)[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(withoutZone)
  return mapped?.[1] ?? withoutZone
}
