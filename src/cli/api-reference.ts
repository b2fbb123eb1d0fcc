// `api-reference`: the methods of the messenger, as a page in Markdown or as OpenAPI. Main thread. What it prints is kept
// in docs/messenger-api.md and src/messenger/http/openapi.json; a test says so when one of them is old.

import { ConfigError } from '../base/errors.ts'
import { methods } from '../messenger/methods/registry.ts'
import { openapi } from '../messenger/reference/openapi.ts'
import { referencePage } from '../messenger/reference/page.ts'

export async function apiReference(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const [format = 'markdown', ...more] = argv
  if (more.length > 0) throw new ConfigError('api-reference takes one word at most: markdown or openapi')
  switch (format) {
    case 'markdown':
      print(referencePage(methods.values()))
      return 0
    case 'openapi':
      print(`${JSON.stringify(openapi(methods.values()), null, 2)}\n`)
      return 0
    default:
      throw new ConfigError(`api-reference: ${JSON.stringify(format)} is neither markdown nor openapi`)
  }
}
