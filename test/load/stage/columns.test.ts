// Means of rows of figures.

import { expect, test } from 'vitest'
import { Columns } from '../../../load/stage/columns.ts'

test('gives the mean of each column', () => {
  const columns = new Columns()
  expect(columns.means()).toEqual([])
  columns.add([1, 10])
  columns.add([3, 30])
  expect(columns.means()).toEqual([2, 20])
})

test('leaves out rows of another length, also when they come first and are empty', () => {
  const columns = new Columns()
  columns.add([])
  columns.add([1, 10])
  columns.add([5])
  expect(columns.means()).toEqual([1, 10])
})
