import { expect, test } from 'vitest'
import { alwaysAnswering, metricNamesOf } from './expressions.ts'

test.each([
  ['a', ['a']],
  [
    'sum by (job, le) (rate(a_total{code="b", x=~"c"}[5m])) / on (d) group_left (e) f:g:sum',
    ['a_total', 'f:g:sum'],
  ],
  ['histogram_quantile(0.99, sum by (le) (rate(h_bucket[$window]))) > 1e3', ['h_bucket']],
  ['a and b unless on () c > bool 2', ['a', 'b', 'c']],
])('the metrics of %s', (expr, names) => {
  expect(metricNamesOf(expr)).toEqual(names)
})

test.each([
  ['up{job="a>b"} == 0', 'up{job="a>b"} == bool 0'],
  ['a / (b > 0) > 0.5', 'a / (b > 0) > bool 0.5'],
  ['a{x!="y"} >= 1', 'a{x!="y"} >= bool 1'],
  ['sum(a > 0)', 'sum(a > 0)'],
])('%s always answers as %s', (expr, answering) => {
  expect(alwaysAnswering(expr)).toBe(answering)
})
