// The reference of the messenger: as old as the definitions, complete, and true of what is served.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { apiReference } from '../../src/cli/api-reference.ts'
import { failures } from '../../src/messenger/failures.ts'
import { methods } from '../../src/messenger/methods/registry.ts'
import { failuresOf, openapi } from '../../src/messenger/reference/openapi.ts'
import { routes } from '../../src/messenger/reference/routes.ts'
import { openHttp } from './http-world.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8')
const document: any = openapi(methods.values())
const WRITE = 'is old: write it anew with `npm run reference`'

async function printed(...argv: string[]): Promise<string> {
  let text = ''
  expect(await apiReference(argv, piece => (text += piece))).toBe(0)
  return text
}

test('the page is as the definitions say', async () => {
  expect(read('docs', 'messenger-api.md') === (await printed()), `docs/messenger-api.md ${WRITE}`).toBe(true)
})

test('the OpenAPI file is as the definitions say', async () => {
  const file = JSON.parse(read('src', 'messenger', 'http', 'openapi.json'))
  const made = JSON.parse(await printed('openapi'))
  expect(made).toEqual(document)
  for (const part of Object.keys(made)) {
    expect(
      JSON.stringify(file[part]) === JSON.stringify(made[part]),
      `${part} of openapi.json ${WRITE}`,
    ).toBe(true)
  }
})

test('the command refuses what it does not know', async () => {
  await expect(printed('yaml')).rejects.toThrow('"yaml" is neither markdown nor openapi')
  await expect(printed('openapi', 'more')).rejects.toThrow('one word at most')
})

test('all methods are there but those of our own shards', () => {
  const named = Object.keys(document.paths)
    .filter(path => path.startsWith('/messenger/rpc/'))
    .map(path => path.slice('/messenger/rpc/'.length))
  const open = [...methods.values()].filter(({ access }) => access !== 'shard')
  expect(named).toEqual(open.map(({ name }) => name))
  expect(named.length).toBeGreaterThan(40)
  const page = read('docs', 'messenger-api.md')
  for (const { name, access } of methods.values()) {
    expect(page.includes(`### ${name}\n`), name).toBe(access !== 'shard')
  }
})

test('each reference leads somewhere, and each method names its statuses', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path!)
  expect(references.length).toBeGreaterThan(100)
  for (const path of new Set(references)) {
    const found = path.split('/').reduce((value: any, name) => value?.[name], document)
    expect(found, path).toBeDefined()
  }
  for (const method of methods.values()) {
    if (method.access === 'shard') continue
    const { responses } = document.paths[`/messenger/rpc/${method.name}`].post
    for (const kind of failuresOf(method)) expect(responses[failures[kind].status], kind).toBeDefined()
  }
})

test('links within the page lead to headings, and those to other pages to files', () => {
  const page = read('docs', 'messenger-api.md')
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
    text!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
  expect(new Set(headings).size).toBe(headings.length)
  for (const [, target] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(headings).toContain(target)
})

test('each route is served, to nobody without a login but those that say so', async () => {
  const { ask } = openHttp()
  for (const { method, path, headers = {}, isOpen = false, status } of routes) {
    // An id that a file could have; of conversations it is none.
    const answer = await ask(path.replace('{id}', 'A'.repeat(22)), { method, headers })
    const where = `${method} ${path}: ${answer.status}`
    if (isOpen) expect(answer.status, where).toBe(status)
    else expect([400, 401, 404, 411, 412], where).toContain(answer.status)
    expect(answer.headers.get('allow') === null || method === 'OPTIONS', where).toBe(true)
  }
})

test('the OpenAPI file is what is served', async () => {
  const { ask } = openHttp()
  const answer = await ask('/messenger/openapi.json')
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json'])
  expect(await answer.json()).toEqual(document)
})
