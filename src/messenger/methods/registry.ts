// All methods of the messenger by name. Any thread: the messenger runs some, threads of the pool others, and the
// reference pages are made of all.

import { assert } from '../../base/assert.ts'
import type { Method } from '../method.ts'
import { adminMethods } from './admin.ts'
import { archiveMethods } from './archive.ts'
import { authMethods } from './auth.ts'
import { conversationsMethods } from './conversations.ts'
import { filesMethods } from './files.ts'
import { messagesMethods } from './messages.ts'
import { presenceMethods } from './presence.ts'
import { searchMethods } from './search.ts'
import { usersMethods } from './users.ts'

const all: readonly Method[] = [
  ...authMethods,
  ...usersMethods,
  ...conversationsMethods,
  ...messagesMethods,
  ...archiveMethods,
  ...searchMethods,
  ...presenceMethods,
  ...filesMethods,
  ...adminMethods,
]

export const methods: ReadonlyMap<string, Method> = new Map(all.map(method => [method.name, method]))
assert(methods.size === all.length, 'names of methods are unique')
