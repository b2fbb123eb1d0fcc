// Which pages may open a connection.

import { expect, test } from 'vitest'
import { isOriginAllowed } from '../../src/edge/admission.ts'

const HOST = 'chat.example:8000'
const CLOSED = { allowedOrigins: [] as string[], loopbackOnly: false, listedOnly: false }

test('who sends no origin is no page', () => {
  for (const options of [CLOSED, { ...CLOSED, listedOnly: true }, { ...CLOSED, loopbackOnly: true }]) {
    expect(isOriginAllowed('', HOST, options)).toBe(true)
  }
})

test('pages of the same host and port, and no others', () => {
  expect(isOriginAllowed('https://chat.example:8000', HOST, CLOSED)).toBe(true)
  for (const origin of [
    'https://chat.example',
    'https://chat.example:8001',
    'https://evil.example',
    'null',
    'x',
  ]) {
    expect(isOriginAllowed(origin, HOST, CLOSED)).toBe(false)
  }
})

test('where nobody needs a token or key not even those of the same host, but those that are listed', () => {
  const options = { ...CLOSED, listedOnly: true, allowedOrigins: ['https://chat.example'] }
  expect(isOriginAllowed('https://chat.example:8000', HOST, options)).toBe(false)
  expect(isOriginAllowed('https://chat.example', HOST, options)).toBe(true)
  expect(isOriginAllowed('https://any.example', HOST, { ...options, allowedOrigins: ['*'] })).toBe(true)
})

test('in the development profile pages of this machine by its own names', () => {
  const options = { ...CLOSED, loopbackOnly: true }
  for (const origin of [
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://127.1.2.3:9',
    'http://[::1]:3000',
  ]) {
    expect(isOriginAllowed(origin, HOST, options)).toBe(true)
  }
  // A name that points to this machine is a page of somebody else all the same.
  for (const origin of [
    'http://chat.example:8000',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
  ]) {
    expect(isOriginAllowed(origin, HOST, options)).toBe(false)
  }
})
