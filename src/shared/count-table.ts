// The count table: a hash table in shared memory from a name to one count per shard. Any thread.
// Invariant: a node stays the same name's as long as anybody has a pin on it; counts of a shard are written
// by that shard only and read by all without the lock. Layout and memory: count-table.layout.ts.

import { assert } from '../base/assert.ts'
import {
  BUCKETS_INDEX,
  bucketsFor,
  CAPACITY_INDEX,
  FIRST_BUCKET_INDEX,
  FREE_INDEX,
  FRESH_INDEX,
  LOCK_INDEX,
  NODE_COUNTS,
  NODE_HASH_HIGH,
  NODE_HASH_LOW,
  NODE_NEXT,
  NODE_PINS,
  nodeStride,
  nodesIndex,
  PIN_MASK_WORDS,
  SHARDS_INDEX,
  SHARDS_MAX,
  TABLE_CAPACITY_MAX,
  USED_INDEX,
} from './count-table.layout.ts'
import { hashInto } from './hash.ts'
import { lock, unlock } from './lock.ts'

/** In place of a node: not there, or no room. */
export const NONE = -1

/** Why a shard keeps a node: it may count in it. */
export const PIN_HOLDER = 0
/** Why a shard keeps a node: it is the name's home and reads the counts again and again. */
export const PIN_HOME = 1
export type Pin = typeof PIN_HOLDER | typeof PIN_HOME

/** Nodes that clearShard looks at under one hold of the lock: some tens of microseconds. */
const CLEAR_NODES_MAX = 1024

/** Memory of an empty table for `capacity` names at a time and `shards` counts each. */
export function createCountTableMemory(size: { capacity: number; shards: number }): SharedArrayBuffer {
  const { capacity, shards } = size
  assert(capacity >= 1 && capacity <= TABLE_CAPACITY_MAX, `count table: capacity: ${capacity}`)
  assert(shards >= 1 && shards <= SHARDS_MAX, `count table: shards: ${shards}`)
  const buckets = bucketsFor(capacity)
  const memory = new SharedArrayBuffer((nodesIndex(buckets) + capacity * nodeStride(shards)) * 4)
  const words = new Int32Array(memory)
  words[CAPACITY_INDEX] = capacity
  words[SHARDS_INDEX] = shards
  words[BUCKETS_INDEX] = buckets
  return memory
}

/**
 * One lock guards chains, free list and pins. Two threads that do nothing but acquire and release get through
 * 5 million pairs a second (one alone 8), far more than shards with sockets to serve can ask for, and stripes
 * by bucket would still meet at the free list. Names are told apart by their 64-bit keyed hash alone: among a
 * million names two agree with a probability of 3e-8.
 */
export class CountTable {
  readonly capacity: number
  readonly shards: number
  readonly #words: Int32Array
  readonly #hashKey: Uint32Array
  readonly #hash = new Uint32Array(2)
  readonly #bucketMask: number
  readonly #nodesIndex: number
  readonly #stride: number

  /** `hashKey`: two random u32 words, the same in all threads. */
  constructor(memory: SharedArrayBuffer, hashKey: Uint32Array) {
    assert(hashKey.length === 2, 'count table: the hash key has two words')
    this.#words = new Int32Array(memory)
    this.#hashKey = hashKey
    this.capacity = this.#words[CAPACITY_INDEX]!
    this.shards = this.#words[SHARDS_INDEX]!
    const buckets = this.#words[BUCKETS_INDEX]!
    this.#bucketMask = buckets - 1
    this.#nodesIndex = nodesIndex(buckets)
    this.#stride = nodeStride(this.shards)
  }

  /**
   * The node of `key`, made if there is none, with the shard's pin set; or NONE if the table is full. A
   * shard has each of its two pins at most once: to acquire what it already has is a programmer error.
   */
  acquire(key: string, shard: number, pin: Pin): number {
    assert(shard >= 0 && shard < this.shards, 'count table: shard')
    this.#hashOf(key)
    lock(this.#words, LOCK_INDEX)
    try {
      let node = this.#findLocked()
      if (node === NONE) {
        node = this.#insertLocked()
        if (node === NONE) return NONE
      }
      const index = this.#pinIndex(node, shard, pin)
      const bit = 1 << (shard & 31)
      assert((this.#words[index]! & bit) === 0, 'count table: this shard already has this pin')
      this.#words[index]! |= bit
      return node
    } finally {
      unlock(this.#words, LOCK_INDEX)
    }
  }

  /**
   * Drops the shard's pin; with the last of all pins the node is free for another name. A shard that drops
   * its PIN_HOLDER has counted down to zero before.
   */
  release(node: number, shard: number, pin: Pin): void {
    assert(this.#hasPin(node, shard, pin), 'count table: release without a pin')
    assert(pin !== PIN_HOLDER || this.countAt(node, shard) === 0, 'count table: release with a count')
    lock(this.#words, LOCK_INDEX)
    try {
      this.#unpinLocked(node, shard, pin)
    } finally {
      unlock(this.#words, LOCK_INDEX)
    }
  }

  /**
   * The node of `key`, or NONE. Unless somebody is known to keep a pin on it, the node may be another name's
   * by the time the answer is used: who has no pin reads with readCounts.
   */
  find(key: string): number {
    this.#hashOf(key)
    lock(this.#words, LOCK_INDEX)
    try {
      return this.#findLocked()
    } finally {
      unlock(this.#words, LOCK_INDEX)
    }
  }

  /**
   * Copies the counts of `key`, one a shard, to `counts` (all zero if it isn't there) and returns their sum.
   * Needs no pin.
   */
  readCounts(key: string, counts: Int32Array): number {
    assert(counts.length === this.shards, 'count table: one count a shard')
    this.#hashOf(key)
    let total = 0
    lock(this.#words, LOCK_INDEX)
    try {
      const node = this.#findLocked()
      for (let shard = 0; shard < this.shards; shard++) {
        counts[shard] = node === NONE ? 0 : this.countAt(node, shard)
        total += counts[shard]!
      }
    } finally {
      unlock(this.#words, LOCK_INDEX)
    }
    return total
  }

  /** Called by shard `shard` only, which has PIN_HOLDER. Returns its new count, never below zero. */
  add(node: number, shard: number, delta: number): number {
    assert(this.#hasPin(node, shard, PIN_HOLDER), 'count table: add without a pin')
    // Partner: the load in countAt(), of any thread. No other thread writes this word.
    const count = Atomics.add(this.#words, this.#countIndex(node, shard), delta) + delta
    assert(count >= 0, 'count table: count below zero')
    return count
  }

  /** The count of one shard. The caller has a pin on the node (its own, whichever). */
  countAt(node: number, shard: number): number {
    // Partner: the add in add(). Who raises a count and then sends word by a ring is sure that it is seen.
    return Atomics.load(this.#words, this.#countIndex(node, shard))
  }

  /** The sum over all shards; the caller has a pin on the node. */
  total(node: number): number {
    let total = 0
    for (let shard = 0; shard < this.shards; shard++) total += this.countAt(node, shard)
    return total
  }

  /** Nodes in use: at most `capacity`. */
  used(): number {
    // Partner: the stores in #insertLocked and #unpinLocked.
    return Atomics.load(this.#words, USED_INDEX)
  }

  /**
   * Zeroes the counts of a shard and drops its pins: when its thread has ended and before another takes its
   * number. Others may go on meanwhile. Returns how many pins it dropped.
   */
  clearShard(shard: number): number {
    assert(shard >= 0 && shard < this.shards, 'count table: shard')
    let dropped = 0
    let from = 0
    // Nodes that are taken for the first time while this walks are none of a shard that has ended.
    while (from < this.#fresh()) {
      const until = Math.min(from + CLEAR_NODES_MAX, this.#fresh())
      lock(this.#words, LOCK_INDEX)
      try {
        for (let node = from; node < until; node++) dropped += this.#clearLocked(node, shard)
      } finally {
        unlock(this.#words, LOCK_INDEX)
      }
      from = until
    }
    return dropped
  }

  #clearLocked(node: number, shard: number): number {
    let dropped = 0
    // Partner: the load in countAt(). In place of the shard's own stores, which have ended.
    Atomics.store(this.#words, this.#countIndex(node, shard), 0)
    for (const pin of [PIN_HOLDER, PIN_HOME] as const) {
      if (!this.#hasPin(node, shard, pin)) continue
      this.#unpinLocked(node, shard, pin)
      dropped++
    }
    return dropped
  }

  /** The node with the hash in #hash. */
  #findLocked(): number {
    const words = this.#words
    const low = this.#hash[0]! | 0
    const high = this.#hash[1]! | 0
    let reference = words[this.#bucketIndex(low)]!
    while (reference !== 0) {
      const index = this.#nodeIndex(reference - 1)
      if (words[index + NODE_HASH_LOW] === low && words[index + NODE_HASH_HIGH] === high) return reference - 1
      reference = words[index + NODE_NEXT]!
    }
    return NONE
  }

  /** A node for the hash in #hash, returned or never used, now at the head of its bucket's chain. */
  #insertLocked(): number {
    const words = this.#words
    let reference = words[FREE_INDEX]!
    if (reference !== 0) {
      words[FREE_INDEX] = words[this.#nodeIndex(reference - 1) + NODE_NEXT]!
    } else {
      if (words[FRESH_INDEX] === this.capacity) return NONE
      reference = words[FRESH_INDEX]! + 1
      // Partner: the load in #fresh().
      Atomics.store(words, FRESH_INDEX, reference)
    }
    const low = this.#hash[0]! | 0
    const index = this.#nodeIndex(reference - 1)
    words[index + NODE_HASH_LOW] = low
    words[index + NODE_HASH_HIGH] = this.#hash[1]! | 0
    words[index + NODE_NEXT] = words[this.#bucketIndex(low)]!
    words[this.#bucketIndex(low)] = reference
    // Partner: the load in used().
    Atomics.store(words, USED_INDEX, words[USED_INDEX]! + 1)
    return reference - 1
  }

  #unpinLocked(node: number, shard: number, pin: Pin): void {
    const words = this.#words
    words[this.#pinIndex(node, shard, pin)]! &= ~(1 << (shard & 31))
    const index = this.#nodeIndex(node)
    const pins = index + NODE_PINS
    if ((words[pins]! | words[pins + 1]! | words[pins + 2]! | words[pins + 3]!) !== 0) return

    // Find what refers to the node: the bucket, or the node before it in the chain.
    let referrer = this.#bucketIndex(words[index + NODE_HASH_LOW]!)
    while (words[referrer] !== node + 1) {
      assert(words[referrer] !== 0, 'count table: node not in its chain')
      referrer = this.#nodeIndex(words[referrer]! - 1) + NODE_NEXT
    }
    words[referrer] = words[index + NODE_NEXT]!
    words[index + NODE_NEXT] = words[FREE_INDEX]!
    words[FREE_INDEX] = node + 1
    // Partner: the load in used().
    Atomics.store(words, USED_INDEX, words[USED_INDEX]! - 1)
  }

  /** A shard's own bit changes only by itself, so it may ask without the lock. */
  #hasPin(node: number, shard: number, pin: Pin): boolean {
    assert(
      node >= 0 && node < this.capacity && shard >= 0 && shard < this.shards,
      'count table: node or shard',
    )
    return (this.#words[this.#pinIndex(node, shard, pin)]! & (1 << (shard & 31))) !== 0
  }

  #fresh(): number {
    // Partner: the store in #insertLocked.
    return Atomics.load(this.#words, FRESH_INDEX)
  }

  #hashOf(key: string): void {
    hashInto(this.#hashKey, key, this.#hash)
  }

  #bucketIndex(hashLow: number): number {
    return FIRST_BUCKET_INDEX + (hashLow & this.#bucketMask)
  }

  #nodeIndex(node: number): number {
    return this.#nodesIndex + node * this.#stride
  }

  #pinIndex(node: number, shard: number, pin: Pin): number {
    return this.#nodeIndex(node) + NODE_PINS + pin * PIN_MASK_WORDS + (shard >> 5)
  }

  #countIndex(node: number, shard: number): number {
    return this.#nodeIndex(node) + NODE_COUNTS + shard
  }
}
