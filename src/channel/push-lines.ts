// Windows hold whole push lines, for that is what is replayed most; a reply wants the publications within. Pure.

import { publicationPush } from '../protocol/replies.ts'

const PUSH_END = '}}'

/** The JSON texts of the publications in push lines of one channel, joined by commas. */
export function publicationsOf(channelJson: string, lines: readonly string[]): string {
  const start = publicationPush(channelJson, '').length - PUSH_END.length
  return lines.map(line => line.slice(start, -PUSH_END.length)).join(',')
}
