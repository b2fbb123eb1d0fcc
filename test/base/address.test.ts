import { describe, expect, test } from 'vitest'
import { addressBehind, isAddressOrNetwork, plainAddress, trust } from '../../src/base/address.ts'

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['0000:0000:0000:0000:0000:ffff:c000:0207', '192.0.2.7'],
  ['2001:0DB8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::1', '::1'],
  ['', ''],
  ['unknown', ''],
])('the address %j has the plain form %j', (text, plain) => {
  expect(plainAddress(text)).toBe(plain)
})

test.each(['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/32'])(
  '%j is an address or a network',
  text => {
    expect(isAddressOrNetwork(text)).toBe(true)
  },
)

test.each([
  '',
  '10.0.0.1/',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/8/8',
  'proxy.example',
  '10.0.0.0/-1',
  'fe80::1%eth0',
])('%j is neither an address nor a network', text => {
  expect(isAddressOrNetwork(text)).toBe(false)
})

describe('behind proxies', () => {
  const trusted = trust(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'])

  test('without a trusted proxy the header counts for nothing', () => {
    expect(addressBehind('203.0.113.5', '198.51.100.1', trusted)).toBe('203.0.113.5')
    expect(addressBehind('10.0.0.1', '198.51.100.1', trust([]))).toBe('10.0.0.1')
  })

  test('the last address that is not a trusted proxy is the client, whatever the client wrote before it', () => {
    const behind = (header: string) => addressBehind('10.0.0.1', header, trusted)
    expect(behind('198.51.100.1')).toBe('198.51.100.1')
    expect(behind('127.0.0.1, 198.51.100.1')).toBe('198.51.100.1')
    expect(behind('127.0.0.1, 198.51.100.1,10.9.9.9 , 192.0.2.1')).toBe('198.51.100.1')
    expect(behind('10.0.0.3, 198.51.100.1')).toBe('198.51.100.1')
  })

  test('IPv6, within brackets or with IPv4 inside, and ports are understood', () => {
    expect(addressBehind('::ffff:10.0.0.1', '198.51.100.1:4711', trusted)).toBe('198.51.100.1')
    expect(addressBehind('2001:db8:0:0::5', '[2a00::1]:4711', trusted)).toBe('2a00::1')
    expect(addressBehind('10.0.0.1', '2a00:0:0:0:0:0:0:1, [2001:db8::9]', trusted)).toBe('2a00::1')
    expect(addressBehind('10.0.0.1', '2a00::1,::ffff:10.0.0.8', trusted)).toBe('2a00::1')
  })

  test('where the chain ends or says nothing, the last known hop is the client', () => {
    expect(addressBehind('10.0.0.1', '', trusted)).toBe('10.0.0.1')
    expect(addressBehind('10.0.0.1', '10.0.0.2', trusted)).toBe('10.0.0.2')
    expect(addressBehind('10.0.0.1', '198.51.100.1, unknown, 10.0.0.2', trusted)).toBe('10.0.0.2')
    expect(addressBehind('10.0.0.1', '198.51.100.1,,', trusted)).toBe('10.0.0.1')
  })

  test('a chain without end is not followed', () => {
    expect(addressBehind('10.0.0.1', `198.51.100.1${',10.0.0.2'.repeat(1000)}`, trusted)).toBe('10.0.0.2')
  })
})
