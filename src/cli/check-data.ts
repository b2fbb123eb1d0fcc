// `check-data DIR`: whether a data directory of the messenger, or a backup of one, is whole. Main thread.

import { ConfigError } from '../base/errors.ts'

/** 0: it is whole; 1: it is not. */
export async function checkDataDirectory(
  argv: readonly string[],
  print: (text: string) => void,
): Promise<number> {
  const [path, ...others] = argv
  if (path === undefined || path.startsWith('--') || others.length > 0) {
    throw new ConfigError('check-data needs the path of one directory: check-data DIR')
  }
  // Only this command needs the database.
  const { checkData } = await import('../messenger/check-data.ts')
  const { problems, messages, files } = await checkData(path)
  for (const problem of problems) print(`${problem}\n`)
  const found = problems.length === 0 ? 'whole' : `NOT whole, ${problems.length} problems`
  print(`${path}: ${found} (${messages} messages, ${files} files)\n`)
  return problems.length === 0 ? 0 : 1
}
