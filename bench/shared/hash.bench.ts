// What it costs to find the home of a channel by its name.

import { hashInto } from '../../src/shared/hash.ts'
import { perCall } from '../bench.ts'

const OPS = 1000
const key = new Uint32Array([0x12345678, 0x9abcdef0])
const out = new Uint32Array(2)
const channels = Array.from({ length: OPS }, (_, index) => `news:sport:${1000 + index}`)
const longNames = channels.map(channel => channel.padEnd(64, 'x'))

function hashAll(texts: string[]): void {
  for (const text of texts) hashInto(key, text, out)
}

export default perCall('hash: HalfSipHash-2-4 of a name', OPS, {
  '15 code units': () => hashAll(channels),
  '64 code units': () => hashAll(longNames),
})
