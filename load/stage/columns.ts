// Means of figures that come in rows, such as the shards of a server. Main thread.
// Invariant: nothing grows with the number of rows; a row of another length (a shard was being replaced) is left out.

export class Columns {
  #sums: number[] = []
  #rows = 0

  add(row: readonly number[]): void {
    if (this.#rows === 0) this.#sums = row.map(() => 0)
    if (row.length === 0 || row.length !== this.#sums.length) return
    row.forEach((value, column) => {
      this.#sums[column]! += value
    })
    this.#rows++
  }

  /** Empty where there was no row. */
  means(): readonly number[] {
    return this.#rows === 0 ? [] : this.#sums.map(sum => sum / this.#rows)
  }
}
