// The head of a frame between shards: what one hop of a publication costs beside the copy of its payload.

import { decodeHead, encodeAsk, encodeTell } from '../../src/protocol/envelope.ts'
import { perCall } from '../bench.ts'

const OPS = 100
const data = JSON.stringify({ text: 'x'.repeat(117) })
const ask = { channel: 'news:sport', data, info: '', tags: '', skipHistory: false, idempotencyKey: '' }
const tell = { channel: 'news:sport', offset: 123_456, acceptedUs: 98_765_432.125 }
const askHead = encodeAsk('publish', 7, ask).head
const tellHead = encodeTell('deliver', tell)
const payloadText = () => data

export default perCall('envelope', OPS, {
  'encode an ask to publish': () => {
    let bytes = 0
    for (let seq = 0; seq < OPS; seq++) bytes += encodeAsk('publish', seq, ask).head.length
    return bytes
  },
  'decode it': () => {
    let last: unknown
    for (let op = 0; op < OPS; op++) last = decodeHead(askHead, payloadText)
    return last
  },
  'encode a delivery': () => {
    let bytes = 0
    for (let op = 0; op < OPS; op++) bytes += encodeTell('deliver', tell).length
    return bytes
  },
  'decode it again': () => {
    let last: unknown
    for (let op = 0; op < OPS; op++) last = decodeHead(tellHead, payloadText)
    return last
  },
})
