// What administrators see of the whole: conversations, storage, use, and who did what. Any thread may import it.

import { statfsSync } from 'node:fs'
import { z } from 'zod'
import { inSteps, type Method, reads } from '../method.ts'
import { conversationKind, id, timeMs } from '../model.ts'
import { listAudit } from '../store/audit.ts'
import {
  conversationFigures,
  counts,
  largestUsers,
  mostDownloaded,
  storageFigures,
  type Volume,
  volumes,
} from '../store/stats.ts'

const PAGE_MAX = 500
const TOP_MAX = 100
const HOUR_MS = 3_600_000
const HOURS_A_DAY = 24
const DAYS_MAX = 366
/** Hours are shown of the last days only. */
const HOURS_MAX = 31 * HOURS_A_DAY

const count = z.int().min(0)

const conversations = reads({
  name: 'admin.conversations',
  access: 'admin',
  about:
    'Conversations by id, with figures and without content. `next` is the `after` of the next page; 0: that was the last one.',
  input: z.object({
    after: z.int().min(0).default(0),
    limit: z.int().min(1).max(PAGE_MAX).default(100),
  }),
  output: z.object({
    conversations: z.array(
      z.object({
        id,
        kind: conversationKind,
        name: z.string(),
        created_by: count,
        created_ms: timeMs,
        members: count,
        messages: count.describe('Deleted ones keep their place.'),
        last_message_ms: timeMs.describe('0: none.'),
        retention_days: count,
      }),
    ),
    next: z.int(),
  }),
  fails: ['forbidden'],
  run: ({ db, options }, _, { after, limit }) => {
    const rows = conversationFigures(db, after, limit)
    return {
      conversations: rows.map(row => ({
        ...row,
        retention_days: row.retention_days ?? options.retention_days,
      })),
      next: rows.length < limit ? 0 : rows.at(-1)!.id,
    }
  },
})

const storage = reads({
  name: 'admin.storage',
  access: 'admin',
  about:
    'Room that is taken. `file_bytes` counts each file, `blob_bytes` each content once; `free_bytes` is what the disk has left.',
  input: z.object({ top: z.int().min(0).max(TOP_MAX).default(10) }),
  output: z.object({
    database_bytes: count,
    files: count,
    file_bytes: count,
    blobs: count,
    blob_bytes: count,
    upload_bytes: count,
    quota_bytes: count,
    free_bytes: count,
    users: z.array(z.object({ id, nickname: z.string(), used_bytes: count })),
  }),
  fails: ['forbidden'],
  run: ({ db, options }, _, { top }) => {
    const { bavail, bsize } = statfsSync(options.path)
    return {
      ...storageFigures(db),
      quota_bytes: options.total_quota,
      free_bytes: bavail * bsize,
      users: largestUsers(db, top),
    }
  },
})

const volume = z.object({
  from_ms: timeMs,
  messages: count,
  bytes_up: count,
  bytes_down: count,
  downloads: count,
})
const use = z.object({
  users: z.object({ active: count, blocked: count, admins: count }),
  conversations: count,
  messages: count,
  hours: z.array(volume),
  days: z.array(volume),
  most_downloaded: z.array(
    z.object({
      id: z.string(),
      owner: count,
      name: z.string(),
      type: z.string(),
      size: count,
      downloads: count,
      downloaded_bytes: count,
    }),
  ),
})
const useAsked = z.object({
  hours: z.int().min(0).max(HOURS_MAX).default(48),
  days: z.int().min(0).max(DAYS_MAX).default(31),
  top: z.int().min(0).max(TOP_MAX).default(10),
})

const activity = reads({
  name: 'admin.activity',
  access: 'admin',
  about:
    'Counts, and messages and bytes per hour and per day (UTC; those in which nothing happened are left out). Files that are not public have no name here.',
  input: useAsked,
  output: use,
  fails: ['forbidden'],
  run: ({ db, nowMs }, _, { hours, days, top }) => {
    const hour = Math.floor(nowMs / HOUR_MS)
    const day = Math.floor(hour / HOURS_A_DAY)
    const { active, blocked, admins, conversations, messages } = counts(db)
    return {
      users: { active, blocked, admins },
      conversations,
      messages,
      hours: hours === 0 ? [] : volumes(db, hour - hours + 1, 1).map(row => volumeOf(row, HOUR_MS)),
      days:
        days === 0
          ? []
          : volumes(db, (day - days + 1) * HOURS_A_DAY, HOURS_A_DAY).map(row =>
              volumeOf(row, HOURS_A_DAY * HOUR_MS),
            ),
      most_downloaded: mostDownloaded(db, top),
    }
  },
})

function volumeOf({ period, ...sums }: Volume & { period: number }, periodMs: number) {
  return { from_ms: period * periodMs, ...sums }
}

const statistics = inSteps({
  name: 'admin.statistics',
  access: 'admin',
  about: 'What `admin.activity` says, and how many users are online now.',
  input: useAsked,
  output: use.extend({ users_online: count }),
  fails: ['forbidden'],
  run: async ({ pool, online }, caller, input) => {
    const text = await pool.run('read', { method: activity.name, caller, data: input })
    return { ...use.parse(JSON.parse(text)), users_online: online.all().length }
  },
})

const audit = reads({
  name: 'admin.audit',
  access: 'admin',
  about:
    'Who did what, the newest first. `actor`: only what this user did; `action`: only this kind. `next` is the `before` of the next page; 0: that was the last one.',
  input: z.object({
    before: z.int().min(0).default(0),
    limit: z.int().min(1).max(PAGE_MAX).default(100),
    actor: id.optional(),
    action: z.string().max(64).default(''),
  }),
  output: z.object({
    entries: z.array(
      z.object({
        id,
        at_ms: timeMs,
        actor: count.describe('0: nobody who was logged in.'),
        action: z.string(),
        target: z.string(),
        detail: z.string(),
        address: z.string(),
      }),
    ),
    next: z.int(),
  }),
  fails: ['forbidden'],
  run: ({ db }, _, { before, limit, actor = 0, action }) => {
    const rows = listAudit(db, { before, actor, action, limit })
    return {
      entries: rows.map(({ actor_id, ...row }) => ({ ...row, actor: actor_id })),
      next: rows.length < limit ? 0 : rows.at(-1)!.id,
    }
  },
})

export const overviewMethods: readonly Method[] = [conversations, storage, activity, statistics, audit]
