// The outlet of a home: to this shard's own subscribers, or into the ring of another shard. Runs on the shard.

import { assert } from '../base/assert.ts'
import { encodeTell } from '../protocol/envelope.ts'
import type { Mesh } from '../shared/mesh.ts'
import type { LocalSide } from './directory.ts'
import type { Outlet } from './outlet.ts'

/** Room for the head of a frame: channel name (255 bytes) and numbers, with plenty to spare. */
const HEAD_BYTES_MAX = 2048

export function createMeshOutlet(options: {
  shard: number
  mesh: Mesh
  local: Pick<LocalSide, 'deliver' | 'announce'>
  frameBytesMax: number
}): Outlet {
  const { shard: self, mesh, local } = options
  // One head serves all shards that get the same publication.
  let head: Uint8Array | undefined
  let headOffset = -1
  let headUs = -1
  let headChannel = ''
  return {
    lineBytesMax: options.frameBytesMax - HEAD_BYTES_MAX,
    accepts(shard, bytes) {
      if (shard === self) return true
      // A shard that is being replaced has no subscribers any more; its count is about to be cleared.
      return mesh.link(shard)?.accepts(bytes + HEAD_BYTES_MAX) ?? true
    },
    deliver(shard, channel, line, offset, acceptedUs) {
      if (shard === self) return local.deliver(channel, line, offset, acceptedUs)
      const link = mesh.link(shard)
      if (link === undefined) return
      if (head === undefined || offset !== headOffset || acceptedUs !== headUs || channel !== headChannel) {
        head = encodeTell('deliver', { channel, offset, acceptedUs })
        headOffset = offset
        headUs = acceptedUs
        headChannel = channel
      }
      assert(link.send(head, line), 'room for a publication was asked before')
    },
    announce(shard, channel, line) {
      if (shard === self) {
        local.announce(channel, line)
        return true
      }
      return mesh.link(shard)?.send(encodeTell('announce', { channel }), line) ?? true
    },
  }
}
