// Loads configurations from texts, for the tests of this folder.

import { ConfigError } from '../../src/base/errors.ts'
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts'
import type { Environment } from '../../src/config/sources.ts'

export type Given = Readonly<{ file?: string; env?: Environment; argv?: readonly string[] }>

/** The file is called relay.yaml and named by a flag. */
export function load({ file, env = {}, argv = [] }: Given = {}): LoadedConfig {
  const readFile = (path: string) => {
    if (file !== undefined && path === 'relay.yaml') return file
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  }
  return loadConfig({ argv: file === undefined ? argv : ['--config', 'relay.yaml', ...argv], env, readFile })
}

/** The message of the ConfigError that loading must end with. */
export function refusal(given: Given): string {
  try {
    load(given)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  throw new Error('the configuration was accepted')
}
