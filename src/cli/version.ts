// `--version`: prints the version of this program and of its runtime. Main thread.

import { readVersion } from '../base/version.ts'
import { refuseArguments } from './arguments.ts'

export async function version(argv: readonly string[], print: (text: string) => void): Promise<number> {
  refuseArguments('--version', argv)
  print(`fanwire ${readVersion()} (Node ${process.versions.node})\n`)
  return 0
}
