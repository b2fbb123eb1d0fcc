// What subscribers of the relay get, byte for byte: publications as lines, joined in frames. For the benches of load/.

import { payloadText } from '../../load/generator/payload.ts'
import { clientInfo, publication, publicationPush } from '../../src/protocol/replies.ts'

export const PAYLOAD_BYTES = 128
export const CHANNEL_PREFIX = 'bench:'

const INFO = clientInfo('00000000-0000-4000-8000-000000000000', '""', undefined, undefined)

/** A publication as a subscriber gets it, without the line break. `offset` 0: a channel without history. */
export function deliveryLine(channel: number, sequence: number, dueUs: number, offset: number): string {
  const data = payloadText(channel, sequence, dueUs, PAYLOAD_BYTES)
  return publicationPush(`"${CHANNEL_PREFIX}${channel}"`, publication(data, offset, INFO, undefined))
}

/** A frame of a server, of at least 126 and less than 65,536 bytes. */
export function serverFrame(lines: readonly string[]): Buffer {
  const payload = lines.join('\n')
  const frame = Buffer.alloc(4 + payload.length)
  frame[0] = 0x81
  frame[1] = 126
  frame.writeUInt16BE(payload.length, 2)
  frame.write(payload, 4, 'latin1')
  return frame
}
