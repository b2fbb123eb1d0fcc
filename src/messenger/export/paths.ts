// Where exports lie until they are fetched. Any thread.

import { join } from 'node:path'
import { randomId } from '../../base/random-id.ts'
import { DIRECTORIES } from '../files/paths.ts'

/** Begins their names, for the sweep that deletes those that nobody fetched. */
export const EXPORT_PREFIX = 'export-'

/** Relative to the data directory; of no other export. */
export function newExportPath(): string {
  return join(DIRECTORIES.temporary, `${EXPORT_PREFIX}${randomId()}`)
}
