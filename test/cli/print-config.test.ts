import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { printConfig } from '../../src/cli/print-config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { options } from '../../src/config/tree.ts'

async function printed(): Promise<string> {
  let text = ''
  expect(await printConfig([], piece => (text += piece))).toBe(0)
  return text
}

test('what is printed is a configuration that changes nothing', async () => {
  const text = await printed()
  const argv = ['--config', 'printed.yaml']
  const { config } = loadConfig({ argv, env: {}, readFile: () => text })
  expect(config).toEqual(loadConfig({ argv, env: {}, readFile: () => '' }).config)
})

test('each option is there, with one line on what it does and its default', async () => {
  const text = await printed()
  const tree: unknown = parse(text)
  for (const { path } of options) {
    let value: unknown = tree
    for (const name of path) value = (value as Record<string, unknown>)[name]
    expect(value, path.join('.')).toBeDefined()
  }
  const lines = text.split('\n')
  const values = lines.filter(line => /^ *[a-z_]+: \S/.test(line))
  expect(values).toHaveLength(options.length)
  expect(values.filter(line => !/^ *# .*Default |^ *# {2}/.test(lines[lines.indexOf(line) - 1]!))).toEqual([])
})

test('the example of a namespace is right, too', async () => {
  const text = (await printed()).replace('  namespaces: []\n', '').replace(/^ {2}# {3}(?=[ -])/gm, '    ')
  const example = text.replace(/^ {2}# (Namespaces:.*)\n/m, '  # $1\n  namespaces:\n')
  const argv = ['--config', 'printed.yaml']
  const { config } = loadConfig({ argv, env: {}, readFile: () => example })
  expect(config.channel.namespaces).toMatchObject([{ name: 'chat', presence: true, history_ttl: 300_000 }])
})
