import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressKey } from './address-key.ts'

test('SRV-API-038 one IPv6 network is one caller', () => {
  assert.equal(addressKey('192.0.2.1'), '192.0.2.1')
  assert.equal(addressKey('2001:db8::1'), '2001:db8:0:0::/64')
  assert.equal(addressKey('2001:DB8:0:0:ffff::1'), '2001:db8:0:0::/64')
  assert.equal(addressKey('2001:0db8:0000:0001::'), '2001:db8:0:1::/64')
  assert.equal(addressKey('::1'), '0:0:0:0::/64')
})
