// Each rule of the security checklist that concerns the messenger (23 to 41) has a test whose title begins with its number,
// or a reason why it has none; and the server asks nobody for anything (38).

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
/** Rules without a test of their own. */
const WITHOUT_TEST = new Map([[36, 'files go by the server alone: there are no peers yet']])
/** A title, behind the quote that begins it. */
const TITLE = /(?:test|describe)(?:\.each\([^`]*?\))?\(\s*['"`](\d+): /gs

function sourcesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => readFileSync(join(ROOT, folder, name), 'utf8'))
}

test('each rule from 23 to 41 has a test by its number', () => {
  const tested = sourcesIn('test').flatMap(source =>
    [...source.matchAll(TITLE)].map(([, number]) => Number(number)),
  )
  const rules = Array.from({ length: 41 - 23 + 1 }, (_, index) => 23 + index)
  expect(rules.filter(rule => !tested.includes(rule))).toEqual([...WITHOUT_TEST.keys()])
})

test('38: nothing in the messenger can ask another server', () => {
  const outward =
    /from '(?:node:(?:https?|http2|net|tls|dgram|dns)(?:\/promises)?|undici)'|(?<![.\w#])fetch\((?!request)/
  const allowed = /import \{ isIPv6 \} from 'node:net'/
  const asking = sourcesIn('src/messenger').filter(source => outward.test(source.replace(allowed, '')))
  expect(asking.map(source => source.split('\n', 1)[0])).toEqual([])
})
