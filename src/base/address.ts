// Whose address a connection or request comes from, through proxies that are trusted to say so. Any thread; pure.
// Invariant: what a client writes into a header itself never becomes its address.

import { BlockList, isIP, SocketAddress } from 'node:net'

/** Where addresses of proxies are looked up. */
export type Trusted = Readonly<{
  /** Nobody is trusted: the header need not even be read. */
  isEmpty: boolean
  has: (address: string) => boolean
}>

/** Hops that are looked at: a longer chain is no chain of proxies that somebody runs. */
const HOPS_MAX = 32

/** An address, or a network as address/bits. */
export function isAddressOrNetwork(text: string): boolean {
  const { address, bits } = split(text)
  const family = isIP(address)
  if (family === 0 || address.includes('%')) return false
  return bits === '' || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** @param networks each as isAddressOrNetwork accepts it */
export function trust(networks: readonly string[]): Trusted {
  const list = new BlockList()
  for (const network of networks) {
    const { address, bits } = split(network)
    if (bits === '') list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return { isEmpty: networks.length === 0, has: address => list.check(address, familyOf(address)) }
}

function split(network: string): { address: string; bits: string } {
  const at = network.indexOf('/')
  if (at < 0) return { address: network, bits: '' }
  // A slash without bits is a mistake and no address.
  return { address: network.slice(0, at), bits: network.slice(at + 1) || 'none' }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}

/**
 * The address in its one usual form: IPv6 shortened and in small letters, IPv4 within IPv6 as IPv4, without a zone.
 * '' for what is no address.
 */
export function plainAddress(text: string): string {
  const family = isIP(text)
  if (family === 4) return text
  if (family === 0) return ''
  const { address } = new SocketAddress({ address: text.replace(/%.*$/, ''), family: 'ipv6' })
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

/**
 * The address of the client: the last one of X-Forwarded-For that is not a trusted proxy's, if the peer is one itself.
 * What stands before it the client may have made up.
 * @param peer the other end of the socket
 * @param forwardedFor all X-Forwarded-For headers in their order, joined by commas; '' = none
 */
export function addressBehind(peer: string, forwardedFor: string, trusted: Trusted): string {
  let address = plainAddress(peer)
  if (trusted.isEmpty || address === '' || forwardedFor === '') return address
  const hops = forwardedFor.split(',').reverse().slice(0, HOPS_MAX)
  for (const hop of hops) {
    if (!trusted.has(address)) return address
    const next = plainAddress(withoutPort(hop.trim()))
    // A proxy that names no address hides the client: then the proxy is all we know.
    if (next === '') return address
    address = next
  }
  return address
}

/** Some proxies write 192.0.2.1:4711 or [2001:db8::1]:4711. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)
  if (bracketed !== null) return bracketed[1]!
  const [address, port, ...more] = hop.split(':')
  return port !== undefined && more.length === 0 ? address! : hop
}
