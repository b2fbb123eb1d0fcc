import { describe, expect, test } from 'vitest'
import { Trouble } from '../../../load/stage/trouble.ts'

const never = () => new Promise<never>(() => {})

describe('trouble', () => {
  test('ends all that is waited for', async () => {
    const trouble = new Trouble()
    const waits = [trouble.race(never()), trouble.race(never())]
    trouble.raise(new Error('the server is gone'))
    for (const wait of waits) await expect(wait).rejects.toThrow('the server is gone')
  })

  test('ends what is waited for later, with the first reason', async () => {
    const trouble = new Trouble()
    trouble.raise(new Error('first'))
    trouble.raise(new Error('second'))
    await expect(trouble.race(Promise.resolve(1))).rejects.toThrow('first')
  })

  test('leaves alone what is over, and can be cleared', async () => {
    const trouble = new Trouble()
    expect(await trouble.race(Promise.resolve(1))).toBe(1)
    await expect(trouble.race(Promise.reject(new Error('its own')))).rejects.toThrow('its own')
    trouble.raise(new Error('stopped'))
    trouble.clear()
    expect(await trouble.race(Promise.resolve(2))).toBe(2)
  })
})
