import { expect, test } from 'vitest'
import { OptionError } from '../../load/errors.ts'
import { checkSources } from '../../load/machine.ts'

test('addresses to connect from have to be those of this machine', async () => {
  await checkSources([])
  await checkSources(['127.0.0.1'])
  // Of a range that is kept for documentation.
  const refused = checkSources(['127.0.0.1', '203.0.113.7'])
  await expect(refused).rejects.toThrow(OptionError)
  await expect(refused).rejects.toThrow('--sources: 203.0.113.7 is no address of this machine')
})
