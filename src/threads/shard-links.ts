// A shard's ends of the mesh: rings and doorbells to the other shards, and when they are drained and pumped.
// Runs on the shard.

import { guard } from '../base/guard.ts'
import { slots } from '../metrics/slots.ts'
import { Doorbell, DoorbellButton } from '../shared/doorbell.ts'
import { Link, Mesh, type OnFrame } from '../shared/mesh.ts'
import { RingConsumer, RingProducer } from '../shared/ring.ts'
import type { PeerEnd, Topology } from './topology.ts'

/** A backlog behind a full ring is moved on so often. */
const PUMP_MS = 1

export class ShardLinks {
  readonly mesh: Mesh
  readonly #topology: Topology
  readonly #ports = new Map<number, PeerEnd['port']>()
  readonly #row: Float64Array
  #onFrame: OnFrame = () => {}
  #draining = false
  #pump: NodeJS.Timeout | undefined
  /** Of links that were replaced: their counts must not be lost. */
  #closedCounts = { fullEvents: 0, frames: 0, wakes: 0 }

  constructor(topology: Topology, shard: number, row: Float64Array) {
    this.#topology = topology
    this.#row = row
    this.mesh = new Mesh(shard, new Doorbell(topology.doorbells, shard))
  }

  /** Frames of peers that are connected from now on are taken; `onError` gets what a frame's treatment throws. */
  open(onFrame: OnFrame, onError: (error: unknown) => void): void {
    this.#onFrame = guard(onFrame, onError)
  }

  connect(end: PeerEnd): void {
    const { doorbells, config } = this.#topology
    const button = new DoorbellButton(doorbells, end.peer, end.port)
    const link = new Link(new RingProducer(end.outgoing), button, config.mesh.backlog_max_size, () =>
      this.#startPump(),
    )
    this.mesh.connect(end.peer, link, new RingConsumer(end.incoming))
    this.#ports.set(end.peer, end.port)
    end.port.on('message', () => this.drain())
  }

  /** Takes what a lost peer had sent, then forgets it. */
  disconnect(peer: number): void {
    this.mesh.drainPeer(peer, Number.POSITIVE_INFINITY, this.#onFrame)
    this.cut(peer)
    // A bell that the lost peer rang may have gone with its port, and our flag says that we are awake.
    this.drain()
  }

  /** Forgets a peer, with what may still be in its ring. */
  cut(peer: number): void {
    const link = this.mesh.link(peer)
    if (link !== undefined) {
      this.#closedCounts.fullEvents += link.fullEvents
      this.#closedCounts.frames += link.frames
      this.#closedCounts.wakes += link.wakes
    }
    this.mesh.disconnect(peer)
    this.#ports.get(peer)?.close()
    this.#ports.delete(peer)
  }

  close(): void {
    for (const peer of [...this.#ports.keys()]) this.cut(peer)
    clearInterval(this.#pump)
  }

  /** One bounded turn over all rings; goes on in the next turn of the loop while there is more. */
  drain(): void {
    if (this.#draining) return
    const more = this.mesh.drain(this.#onFrame)
    if (!more) return
    this.#draining = true
    setImmediate(() => {
      this.#draining = false
      this.drain()
    })
  }

  /** Takes all that the others have sent; they send nothing new. */
  drainAll(): void {
    while (this.mesh.drain(this.#onFrame));
  }

  #startPump(): void {
    this.#pump ??= setInterval(() => {
      if (!this.mesh.pump()) return
      clearInterval(this.#pump)
      this.#pump = undefined
    }, PUMP_MS)
  }

  /** Writes what the links counted into the shard's row. */
  measure(): void {
    let { fullEvents, frames, wakes } = this.#closedCounts
    let usedBytes = 0
    let backlogBytes = 0
    for (const link of this.mesh.links()) {
      fullEvents += link.fullEvents
      frames += link.frames
      wakes += link.wakes
      usedBytes += link.usedBytes
      backlogBytes += link.backlogBytes
    }
    const row = this.#row
    row[slots.ringUsedBytes] = usedBytes
    row[slots.ringBacklogBytes] = backlogBytes
    this.#add(slots.ringFull, fullEvents)
    this.#add(slots.ringFrames, frames)
    this.#add(slots.doorbellWakes, wakes)
  }

  readonly #written = new Map<number, number>()

  /** Counters of a row go on from what an earlier shard of this place counted. */
  #add(slot: number, total: number): void {
    this.#row[slot]! += total - (this.#written.get(slot) ?? 0)
    this.#written.set(slot, total)
  }
}
