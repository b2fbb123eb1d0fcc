// Where a page of records ends, beside its limit. Any thread; pure.

/**
 * A page ends behind the record whose bytes of JSON pass this. Each record is bounded, but hundreds of the largest in one
 * answer would be more than may wait for a connection.
 */
const PAGE_BYTES_MAX = 128 * 1_024

/** The first ones that are a page: at least one, where there are any. No more of them are made than that. */
export function fitting<T>(records: Iterable<T>): T[] {
  const page: T[] = []
  let bytes = 0
  for (const record of records) {
    page.push(record)
    bytes += Buffer.byteLength(JSON.stringify(record))
    if (bytes > PAGE_BYTES_MAX) break
  }
  return page
}
