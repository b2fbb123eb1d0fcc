// Windows hold whole push lines, for that is what is replayed most; a reply wants the publications within. Pure.

import { publicationPush } from '../protocol/replies.ts'

const PUSH_END = '}}'

/** The JSON texts of the publications in push lines of one channel, joined by commas. */
export function publicationsOf(channelJson: string, lines: readonly string[]): string {
  const start = publicationPush(channelJson, '').length - PUSH_END.length
  return lines.map(line => line.slice(start, -PUSH_END.length)).join(',')
}

/** Tells whether a text has the form of a publication's push line in this channel. */
export function publicationForm(channelJson: string): (text: string) => boolean {
  const start = publicationPush(channelJson, '{').slice(0, -PUSH_END.length)
  return text => text.startsWith(start) && text.endsWith(`}${PUSH_END}`)
}
