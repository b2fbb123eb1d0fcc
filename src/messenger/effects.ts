// What a call causes outside of the database: publications, subscriptions, ended logins. Gathered while the transaction
// runs, carried out in order after it is durable; dropped when it fails. The messenger's thread.

import type { Disconnect } from '../protocol/codes.ts'
import type { ConversationEvent, UserEvent } from './model.ts'
import type { Database } from './store/database.ts'

/** The topic of the notice to whoever holds an upload that another request wants. Text: its id. */
export const RELEASE_UPLOAD = 'upload.release'

export type Effect =
  | Readonly<{ kind: 'publish'; conversation: number; event: ConversationEvent }>
  | Readonly<{ kind: 'tell'; user: number; event: UserEvent }>
  /** Subscribes all connections of the user to the conversation's channel, or ends that. */
  | Readonly<{ kind: 'join' | 'leave'; user: number; conversation: number }>
  /** Closes the connections of one login, or of all of the user's ('' and not `except`). */
  | Readonly<{ kind: 'end'; user: number; session: string; except: string; disconnect: Disconnect }>
  /** To all shards, for what they keep themselves (locks of uploads, say). */
  | Readonly<{ kind: 'notice'; topic: string; text: string }>

export class Effects {
  readonly list: Effect[] = []
  readonly last: ((db: Database) => void)[] = []

  /**
   * Runs inside the transaction, behind all of its calls. For the search index: within a call each of its entries would be
   * written to pages of its own, which takes longer than all the rest of a message.
   */
  atLast(work: (db: Database) => void): void {
    this.last.push(work)
  }

  publish(conversation: number, event: ConversationEvent): void {
    this.list.push({ kind: 'publish', conversation, event })
  }

  tell(user: number, event: UserEvent): void {
    this.list.push({ kind: 'tell', user, event })
  }

  join(user: number, conversation: number): void {
    this.list.push({ kind: 'join', user, conversation })
  }

  leave(user: number, conversation: number): void {
    this.list.push({ kind: 'leave', user, conversation })
  }

  /** `session` '': all of the user's but `except`. */
  end(user: number, session: string, disconnect: Disconnect, except = ''): void {
    this.list.push({ kind: 'end', user, session, except, disconnect })
  }

  notice(topic: string, text: string): void {
    this.list.push({ kind: 'notice', topic, text })
  }
}
