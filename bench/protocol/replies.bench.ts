// Writing a publication once at its home: the push as text, and as the bytes that go to the shards.

import { publication, publicationPush } from '../../src/protocol/replies.ts'
import { perCall } from '../bench.ts'

const OPS = 100
const data = JSON.stringify({ text: 'x'.repeat(117) })
const info = '{"user":"42","client":"00000000-0000-0000-0000-000000000000"}'
const scratch = Buffer.alloc(4096)
let offset = 0

function push(withInfo: string | undefined): string {
  return publicationPush('"news:sport"', publication(data, ++offset, withInfo, undefined))
}

export default perCall(`replies: a publication of ${data.length} B`, OPS, {
  'write its push': () => {
    let length = 0
    for (let op = 0; op < OPS; op++) length += push(undefined).length
    return length
  },
  'write its push with info, as UTF-8': () => {
    let bytes = 0
    for (let op = 0; op < OPS; op++) bytes += scratch.write(push(info), 0, 'utf8')
    return bytes
  },
})
