// Lets so many at a time: a server's backlog of connections is bounded, and so are our own sockets that only begin.
// Any thread of the load. Invariant: turns come in the order in which they were asked for.

export type Turns = Readonly<{
  /** Waits for a turn, does it, and gives the turn back, however it ended. */
  take: <Result>(task: () => Promise<Result>) => Promise<Result>
}>

export function createTurns(atOnceMax: number): Turns {
  let underWay = 0
  // Bounded by the subscribers of the thread, each of which waits for one turn at most.
  const waiting: (() => void)[] = []
  let first = 0

  const giveBack = () => {
    const next = waiting[first]
    if (next === undefined) {
      underWay--
      return
    }
    waiting[first++] = () => {}
    if (first === waiting.length) {
      waiting.length = 0
      first = 0
    }
    next()
  }
  return {
    async take(task) {
      if (underWay < atOnceMax) underWay++
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        return await task()
      } finally {
        giveBack()
      }
    },
  }
}
