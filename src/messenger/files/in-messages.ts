// What becomes of messages when a file that they have is deleted or named anew by its owner. The messenger's thread, inside
// the transaction that is being gathered. Invariant: whoever sees such a message is told that it changed.

import type { WriteContext } from '../method.ts'
import { messagesWith } from '../store/attachments.ts'
import { deleteFile, type FileRow, renameFile } from '../store/files.ts'
import { attachmentsChanged } from '../store/message-changes.ts'
import { type MessageRow, messageRecord } from '../store/messages.ts'

/** From the owner's list, and from all messages that have it; they keep their place and their text. */
export function removeFile(context: WriteContext, file: FileRow): void {
  const messages = messagesWith(context.db, file.id)
  deleteFile(context.db, file.id)
  tellOf(context, messages)
  context.effects.tell(file.owner_id, { type: 'file', file: file.public_id, change: 'deleted' })
}

export function nameAnew(context: WriteContext, file: FileRow, name: string): void {
  renameFile(context.db, file, name)
  tellOf(context, messagesWith(context.db, file.id))
  context.effects.tell(file.owner_id, { type: 'file', file: file.public_id, change: 'changed' })
}

function tellOf({ db, effects }: WriteContext, messages: readonly MessageRow[]): void {
  for (const row of messages) {
    attachmentsChanged({ db, effects }, row)
    const message = messageRecord(db, row.conversation_id, row.seq)!
    effects.publish(row.conversation_id, { type: 'edited', rev: message.rev, message })
  }
}
