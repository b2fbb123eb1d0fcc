// Reading the command that a busy relay reads most: a publish with 128 B of data; and a connect, for comparison.

import { readCommand } from '../../src/protocol/commands.ts'
import { rawMember } from '../../src/protocol/raw-json.ts'
import { perCall } from '../bench.ts'

const OPS = 100
const data = JSON.stringify({ text: 'x'.repeat(117) })
const publish = `{"id":7,"publish":{"channel":"news:sport","data":${data}}}`
const connect = `{"id":1,"connect":{"token":"${'t'.repeat(200)}","name":"js"}}`

export default perCall(`commands: ${data.length} B of data`, OPS, {
  'read a publish': () => repeat(() => readCommand(publish)),
  'its JSON.parse alone': () => repeat(() => JSON.parse(publish)),
  'its raw data alone': () => repeat(() => rawMember(publish, 'data', 'publish')),
  'read a connect with a token of 200 B': () => repeat(() => readCommand(connect)),
})

function repeat(work: () => unknown): unknown {
  let last: unknown
  for (let op = 0; op < OPS; op++) last = work()
  return last
}
