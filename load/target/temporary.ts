// Temporary folders of a run. Main thread.
// Invariant: none is left when the process ends, however it ends (but by SIGKILL).

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type TemporaryFolder = Readonly<{ path: string; remove: () => void }>

/**
 * Only this user can read it.
 * @param prepareRemoval undoes what others have made of the folder; synchronous, since the process may be ending
 */
export function temporaryFolder(purpose: string, prepareRemoval = () => {}): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `fanwire-${purpose}-`))
  const remove = () => {
    process.off('exit', remove)
    prepareRemoval()
    rmSync(path, { recursive: true, force: true })
  }
  process.on('exit', remove)
  return { path, remove }
}
