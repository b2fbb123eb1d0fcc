// Layout of a count table: one SharedArrayBuffer that all threads read and write.
// Invariant: a node is in the chain of its bucket exactly while it has a pin; free nodes have no pins and
// only zero counts. All words are i32; zeroed memory is an empty table, so untouched pages cost nothing.
//
//   index   0  +------------------------------------------+
//              | lock: free, held, held with waiters      |  any thread, by lock.ts only
//   index  32  +------------------------------------------+
//              | capacity  nodes                          |  the creator only, before any thread starts
//              | shards    columns of counts              |
//              | buckets   a power of two >= capacity     |
//   index  64  +------------------------------------------+
//              | free   reference, list of returned nodes |  the lock's holder only; `used` is read by any
//              | fresh  nodes taken at least once         |
//              | used   nodes in chains                   |
//   index  96  +------------------------------------------+
//              | buckets: reference to the first node     |  the lock's holder only
//              +------------------------------------------+
//              | nodes: capacity * nodeStride(shards)     |
//              +------------------------------------------+
//
// The lock, the numbers that never change and those that change lie on cache lines of their own. A reference
// is the number of a node plus 1, and 0 is none. Nodes never move; a node with a pin is never given back.
//
//   node  +0   hash, low word       the lock's holder only
//         +1   hash, high word
//         +2   next   reference, in the bucket's chain or in the free list
//         +3   unused
//         +4   holder pins, one bit for each of the shards 0-31; +5 shards 32-63
//         +6   home pins, one bit for each of the shards 0-31; +7 shards 32-63
//         +8   counts[shards]       counts[s] by shard s only, without the lock, while s has its holder pin
//
// Up to 8 shards a node is 64 bytes.

export const LOCK_INDEX = 0
export const CAPACITY_INDEX = 32
export const SHARDS_INDEX = 33
export const BUCKETS_INDEX = 34
export const FREE_INDEX = 64
export const FRESH_INDEX = 65
export const USED_INDEX = 66
export const FIRST_BUCKET_INDEX = 96

export const NODE_HASH_LOW = 0
export const NODE_HASH_HIGH = 1
export const NODE_NEXT = 2
export const NODE_PINS = 4
export const NODE_COUNTS = 8

/** Words of a pin's mask: one bit for each of SHARDS_MAX shards. */
export const PIN_MASK_WORDS = 2
/** Two words of bits; more shards than this would want more cores than a relay's machine has. */
export const SHARDS_MAX = 64
/** 16 million names: 1 GiB of nodes at up to 8 shards, and indexes below 2^31 at 64 shards too. */
export const TABLE_CAPACITY_MAX = 2 ** 24

/** Words from one node to the next: a multiple of 32 bytes. */
export function nodeStride(shards: number): number {
  return (NODE_COUNTS + shards + 7) & ~7
}

/** A bucket for each node, so that chains hold one node on average when the table is full. */
export function bucketsFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity))
}

/** Index of the first node. */
export function nodesIndex(buckets: number): number {
  return (FIRST_BUCKET_INDEX + buckets + 31) & ~31
}
