// Files of messages in SQL. The messenger's thread, inside the transaction that is being gathered. Invariant: a file that
// was uploaded for messages alone goes with the last message that has it.

import { CallError } from '../failures.ts'
import type { FileRecord } from '../model.ts'
import type { Database } from './database.ts'
import { deleteFile, FILE_COLUMNS, type FileRow, fileOfOwner, fileRecord } from './files.ts'
import { MESSAGE_COLUMNS, type MessageRow } from './messages.ts'

/** Messages that may have the same file: with it all of them change in one transaction, while others wait. */
export const MESSAGES_PER_FILE_MAX = 500

/**
 * Gives a message its files, in this order; answers their records. All have to be the sender's own: nobody passes on what
 * another one may withdraw. Throws `not_found` or `limit`.
 */
export function attach(
  db: Database,
  message: Readonly<{ id: number; conversation: number }>,
  owner: number,
  publicIds: readonly string[],
): FileRecord[] {
  return [...new Set(publicIds)].map((publicId, position) => {
    const row = fileOfOwner(db, publicId, owner)
    if (row === undefined) throw new CallError('not_found', `file ${publicId}`)
    if (attachedTo(db, row.id) >= MESSAGES_PER_FILE_MAX) {
      throw new CallError('limit', `file ${publicId}: ${MESSAGES_PER_FILE_MAX} messages have it`)
    }
    db.run(
      'INSERT INTO attachments (message_id, position, file_id, conversation_id) VALUES (?, ?, ?, ?)',
      message.id,
      position,
      row.id,
      message.conversation,
    )
    return fileRecord(row)
  })
}

/** In the order in which they were attached. */
export function attachmentsOf(db: Database, message: number): FileRecord[] {
  const sql = `
    SELECT ${FILE_COLUMNS} FROM attachments a JOIN files f ON f.id = a.file_id
    WHERE a.message_id = ? ORDER BY a.position`
  return db.all<FileRow>(sql, message).map(fileRecord)
}

/** For a message that is deleted: it has no files any more, and what was sent with it alone is deleted. */
export function detach(db: Database, message: number): void {
  const files = db.all<{ id: number }>('SELECT file_id AS id FROM attachments WHERE message_id = ?', message)
  db.run('DELETE FROM attachments WHERE message_id = ?', message)
  for (const { id } of files) deleteIfUnused(db, id)
}

function deleteIfUnused(db: Database, file: number): void {
  const sql = `
    SELECT 1 FROM files f WHERE f.id = ? AND f.visibility = 'conversation'
      AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.file_id = f.id)`
  if (db.get(sql, file) !== undefined) deleteFile(db, file)
}

/** Messages that have a file, the oldest first. */
export function messagesWith(db: Database, file: number): MessageRow[] {
  const sql = `
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id IN (SELECT message_id FROM attachments WHERE file_id = ?)
    ORDER BY id`
  return db.all<MessageRow>(sql, file)
}

/** How many that are. */
export function attachedTo(db: Database, file: number): number {
  return db.get<{ n: number }>('SELECT count(*) AS n FROM attachments WHERE file_id = ?', file)!.n
}

/** Files that were sent up for a message which never came, and whose owner has had time for it: up to `limit`. */
export function forgottenFiles(
  db: Database,
  afterId: number,
  beforeMs: number,
  limit: number,
): { id: number; isForgotten: number }[] {
  const sql = `
    SELECT f.id, f.visibility = 'conversation' AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.file_id = f.id)
      AS isForgotten
    FROM files f WHERE f.id > ? AND f.created_ms < ? ORDER BY f.id LIMIT ?`
  return db.all(sql, afterId, beforeMs, limit)
}
