import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { NODE_MIN, nodeVersionProblem } from '../../src/cli/node-version.ts'

test.each(['22.18.0', '22.23.3', '23.0.0', '24.1.0', '100.0.0'])('Node %s is new enough', version => {
  expect(nodeVersionProblem(version)).toBeUndefined()
})

test.each(['22.17.1', '20.20.2', '18.0.0', '9.99.0'])(
  'Node %s is too old, and one is told what to do',
  version => {
    expect(nodeVersionProblem(version)).toBe(
      `needs Node 22.18 or newer, and this is ${version}: run "npm install", which brings the right one, and start it with "npm start"`,
    )
  },
)

test('the entry for older versions asks for the same', () => {
  const entry = readFileSync(new URL('../../src/start.mjs', import.meta.url), 'utf8')
  expect(entry).toContain(`const NODE_MIN = [${NODE_MIN.join(', ')}]`)
})
