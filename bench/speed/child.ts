// A process of the measurement and how it is asked: one request at a time over the IPC channel of node:child_process.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

export type Child = Readonly<{
  pid: number
  /** Resolves with the answer to the request. */
  ask: (request: object) => Promise<any>
  stop: () => Promise<void>
}>

export function startChild(file: string, args: readonly string[] = []): Child {
  const child = fork(new URL(file, import.meta.url), args)
  return {
    pid: child.pid!,
    ask(request) {
      child.send(request)
      return answerOf(child, file)
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

async function answerOf(child: ChildProcess, file: string): Promise<any> {
  const ended = new AbortController()
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`${file} ended with ${code}`)
  })
  const answer = once(child, 'message', { signal: ended.signal })
  try {
    const [message] = await Promise.race([answer, exit])
    if (message.error !== undefined) throw new Error(`${file}: ${message.error}`)
    return message
  } finally {
    ended.abort()
    await Promise.allSettled([exit, answer])
  }
}

/** In the child: answers each request with what `serve` returns. */
export function serveParent(serve: (request: any) => unknown): void {
  process.on('message', async request => {
    try {
      process.send!((await serve(request)) ?? {})
    } catch (error) {
      process.send!({ error: String(error) })
    }
  })
  process.on('disconnect', () => process.exit())
}
