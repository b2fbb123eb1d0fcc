// Who calls a method of the messenger. Any thread; travels to the pool with the call.

import type { UserRole } from './model.ts'

/** What a device may call itself: it is shown in the list of logins, and stored. */
export const DEVICE_LENGTH_MAX = 200

/** Who calls. The messenger has found this out itself; nothing in it is what the client claims. */
export type Caller = Readonly<{
  /** 0: nobody is logged in. */
  user: number
  role: UserRole
  /** Public id of the login; '' = none. */
  session: string
  /** Client id of the connection; '' over HTTP. */
  client: string
  /** IP address, by trusted proxies where there are some. */
  address: string
  /** What the device calls itself (User-Agent over HTTP); ''. */
  device: string
  transport: 'websocket' | 'tcp' | 'http' | 'shard'
}>
