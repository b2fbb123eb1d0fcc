import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync, parseOptions } from '@node-rs/argon2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkNewPassword, checkPasswordSize } from '../../../src/messenger/accounts/passwords.ts'
import { ARGON2, hashPassword, PEPPER_FILE, verifyPassword } from '../../../src/messenger/pool/passwords.ts'

const PASSWORD = 'correct horse battery'

let path = ''
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-passwords-'))
})
afterEach(() => rmSync(path, { recursive: true }))

const phcOf = (hash: string) => hash.slice(hash.indexOf(':') + 1)

describe('23: a password is stored', () => {
  test('as argon2id of 19 MiB, 2 passes, 1 lane; the hash names its parameters and has a salt of its own', () => {
    const [one, other] = [1, 2].map(() => hashPassword({ password: PASSWORD }, path))
    expect(parseOptions(phcOf(one!))).toMatchObject({
      algorithm: 2,
      memoryCost: 19 * 1_024,
      timeCost: 2,
      parallelism: 1,
      saltLen: 16,
      outputLen: 32,
    })
    expect(one).not.toBe(other)
    expect(verifyPassword({ password: PASSWORD, hash: one! }, path)).toEqual({ matches: true, stale: false })
    expect(verifyPassword({ password: `${PASSWORD} `, hash: one! }, path).matches).toBe(false)
  })

  test('so that a hash with other parameters passes and is known to be stale', () => {
    const pepper =
      phcOf(hashPassword({ password: 'makes the key' }, path)) && readFileSync(join(path, PEPPER_FILE))
    const [id] = hashPassword({ password: 'names the key' }, path).split(':')
    const old = hashSync(PASSWORD, {
      ...ARGON2,
      memoryCost: 8 * 1_024,
      algorithm: 2,
      secret: pepper as Buffer,
    })
    const hash = `${id}:${old}`
    expect(verifyPassword({ password: PASSWORD, hash }, path)).toEqual({ matches: true, stale: true })
    expect(verifyPassword({ password: 'wrong', hash }, path)).toEqual({ matches: false, stale: false })
  })

  test('with a pepper from a file that nobody else may read; without it no guess can be checked', () => {
    const hash = hashPassword({ password: PASSWORD }, path)
    expect(readdirSync(path)).toEqual([PEPPER_FILE])
    expect(statSync(join(path, PEPPER_FILE)).mode & 0o777).toBe(0o600)
    const bare = hashSync(PASSWORD, { ...ARGON2, algorithm: 2 })
    expect(verifyPassword({ password: PASSWORD, hash: `${hash.split(':')[0]}:${bare}` }, path).matches).toBe(
      false,
    )
  })

  test('and with another pepper it is an error that says so, not a wrong password', () => {
    const hash = hashPassword({ password: PASSWORD }, path)
    writeFileSync(join(path, PEPPER_FILE), Buffer.alloc(32, 1))
    expect(() => verifyPassword({ password: PASSWORD, hash }, path)).toThrow('is not the key')
    rmSync(join(path, PEPPER_FILE))
    expect(() => verifyPassword({ password: PASSWORD, hash }, path)).toThrow('is not the key')
    writeFileSync(join(path, PEPPER_FILE), 'short')
    expect(() => hashPassword({ password: PASSWORD }, path)).toThrow('5 bytes')
  })

  test('whole: past 72 bytes every character counts', () => {
    const long = 'x'.repeat(255)
    const hash = hashPassword({ password: `${long}a` }, path)
    expect(verifyPassword({ password: `${long}a`, hash }, path).matches).toBe(true)
    expect(verifyPassword({ password: `${long}b`, hash }, path).matches).toBe(false)
  })
})

test('25: for a user that there is not a hash is checked all the same, and no pepper is made', () => {
  expect(verifyPassword({ password: PASSWORD, hash: '' }, path)).toEqual({ matches: false, stale: false })
  expect(existsSync(join(path, PEPPER_FILE))).toBe(false)
})

describe('24: a new password', () => {
  test.each([
    ['8 characters', 'zq8!Lw0x'],
    ['256 characters', 'zq8!'.repeat(64)],
    ['256 characters of 4 bytes', '🦑'.repeat(256)],
    ['spaces and controls', ' \t\u0000 \u202e\u200b  '],
    ['a long sentence', 'it was a bright cold day in april'],
  ])('may have %s', (_, password) => {
    expect(() => checkNewPassword(password, ['anna'])).not.toThrow()
  })

  test.each([
    ['7 characters', 'zq8!Lw0', 'weak_password'],
    ['7 characters of 4 bytes', '🦑'.repeat(7), 'weak_password'],
    ['257 characters', 'x'.repeat(257), 'weak_password'],
    ['one of the most common ones', 'password', 'weak_password'],
    ['one of the most common ones in capitals', 'BaseBall', 'weak_password'],
    ['the nickname', 'Anna-Maria', 'weak_password'],
    ['more than 4 KiB', 'x'.repeat(4_097), 'too_large'],
    ['what is no text', 'zq8!Lw0x\ud800', 'bad_request'],
  ])('may not be %s', (_, password, kind) => {
    expect(() => checkNewPassword(password, ['anna-maria', 'Anna'])).toThrow(
      expect.objectContaining({ kind }),
    )
  })

  test('is compared with 3,000 common ones, each long enough to be one', () => {
    const folder = join(import.meta.dirname, '../../../src/messenger/accounts')
    const common = readFileSync(join(folder, 'common-passwords.txt'), 'utf8').trimEnd().split('\n')
    expect(new Set(common).size).toBe(3_000)
    for (const password of common) {
      expect(() => checkNewPassword(password, [])).toThrow(expect.objectContaining({ kind: 'weak_password' }))
      expect(password).toBe(password.toLowerCase())
      expect(password.length).toBeGreaterThanOrEqual(8)
    }
  })

  test('and any other is named in no message', () => {
    for (const password of ['hunter2', 'hunter2'.repeat(100), 'hunter2'.repeat(1_000)]) {
      expect(() => checkNewPassword(password, [])).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
      )
    }
    expect(() => checkPasswordSize('short')).not.toThrow()
  })
})
