// Deleting a file that its owner wants gone: from the owner's list, and from all messages that have it. The messenger's
// thread, inside the transaction that is being gathered. Invariant: whoever sees such a message is told that it changed.

import type { WriteContext } from '../method.ts'
import type { Database } from '../store/database.ts'
import { deleteFile, type FileRow } from '../store/files.ts'
import { loseAttachment } from '../store/message-changes.ts'
import { MESSAGE_COLUMNS, type MessageRow, messageRecord } from '../store/messages.ts'

/** Messages keep their place and their text. */
export function removeFile({ db, effects }: WriteContext, file: FileRow): void {
  const messages = messagesWith(db, file.id)
  deleteFile(db, file.id)
  for (const row of messages) {
    loseAttachment({ db, effects }, row)
    const message = messageRecord(db, row.conversation_id, row.seq)!
    effects.publish(row.conversation_id, { type: 'edited', rev: message.rev, message })
  }
  effects.tell(file.owner_id, { type: 'file', file: file.public_id, change: 'deleted' })
}

function messagesWith(db: Database, file: number): MessageRow[] {
  const sql = `
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id IN (SELECT message_id FROM attachments WHERE file_id = ?)
    ORDER BY id`
  return db.all<MessageRow>(sql, file)
}

/** Messages that have a file. */
export function attachedTo(db: Database, file: number): number {
  return db.get<{ n: number }>('SELECT count(*) AS n FROM attachments WHERE file_id = ?', file)!.n
}
