// Deleting a file that its owner wants gone: from the owner's list, and from all messages that have it. The messenger's
// thread, inside the transaction that is being gathered. Invariant: whoever sees such a message is told that it changed.

import type { WriteContext } from '../method.ts'
import { messagesWith } from '../store/attachments.ts'
import { deleteFile, type FileRow } from '../store/files.ts'
import { loseAttachment } from '../store/message-changes.ts'
import { messageRecord } from '../store/messages.ts'

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
