// Looks a host's addresses up once for all connections of a thread: ten thousand questions would fill the pool that
// Node asks them in, and be measured as slow connects. Any thread of the load.

import { lookup } from 'node:dns'

type Found = (error: NodeJS.ErrnoException | null, ...found: unknown[]) => void

const answers = new Map<string, Promise<readonly unknown[]>>()

/** In place of dns.lookup(). */
export function cachedLookup(hostname: string, options: object, found: Found): void {
  const key = `${hostname} ${JSON.stringify(options)}`
  let answer = answers.get(key)
  if (answer === undefined) {
    answer = ask(hostname, options)
    answers.set(key, answer)
    // What failed may be asked again.
    answer.catch(() => answers.delete(key))
  }
  answer.then(
    result => found(null, ...result),
    error => found(error),
  )
}

function ask(hostname: string, options: object): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    lookup(hostname, options, (error, ...result: unknown[]) => {
      if (error === null) resolve(result)
      else reject(error)
    })
  })
}
