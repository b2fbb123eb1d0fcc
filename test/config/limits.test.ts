// Limits that stand in two places, because neither layer may import the other.

import { expect, test } from 'vitest'
import * as limits from '../../src/config/limits.ts'
import * as countTable from '../../src/shared/count-table.layout.ts'

test('there may be as many shards as a count table has bits for', () => {
  expect(limits.SHARDS_MAX).toBe(countTable.SHARDS_MAX)
  expect(countTable.SHARDS_MAX).toBe(countTable.PIN_MASK_WORDS * 32)
})
