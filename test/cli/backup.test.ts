import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { backup } from '../../src/cli/backup.ts'
import { checkDataDirectory } from '../../src/cli/check-data.ts'
import { openMessenger } from '../support/messenger.ts'

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-backup-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('a data directory is backed up and checked', async () => {
  const { path, addUser } = openMessenger()
  await addUser('ann').call('message.send', { everyone: true, client_id: 'x', text: 'hello' })
  const to = join(temporaryFolder(), 'backup')
  let text = ''
  const print = (piece: string) => (text += piece)
  expect(await backup(['--messenger.path', path, '--to', to], print)).toBe(0)
  expect(await checkDataDirectory([to], print)).toBe(0)
  expect(text).toContain('whole (1 messages, 0 files)')
})

test('a check that finds something ends with 1', async () => {
  const { path, db, addUser } = openMessenger()
  await addUser('ann').call('message.send', { everyone: true, client_id: 'x', text: 'hello' })
  db.exec('DELETE FROM messages')
  let text = ''
  expect(await checkDataDirectory([path], piece => (text += piece))).toBe(1)
  expect(text).toContain('NOT whole')
})

test('what is missing is said', async () => {
  const print = () => {}
  await expect(backup([], print)).rejects.toThrow('--to DIR')
  await expect(backup(['--to'], print)).rejects.toThrow('--to DIR')
  await expect(backup(['--to', '--config'], print)).rejects.toThrow('--to DIR')
  await expect(checkDataDirectory([], print)).rejects.toThrow('check-data DIR')
  await expect(checkDataDirectory(['a', 'b'], print)).rejects.toThrow('check-data DIR')
})
