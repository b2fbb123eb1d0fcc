// Counts the publications in what a subscriber receives, without reading them: by lengths where all lines have the
// same, else by line breaks. Invariant: anything that is not a whole number of publications is counted as odd.

export type Tally = { publications: number; frames: number; odd: number }

/** Takes the bytes of one connection, in order and cut anywhere. */
export type Counter = (chunk: Uint8Array) => void

const NEWLINE = 0x0a

/** @param lineBytes length of each line without its line break; 0: they differ */
export function countLines(tally: Tally, lineBytes: number): Counter {
  if (lineBytes === 0) {
    return chunk => {
      tally.publications += newlinesIn(chunk, 0, chunk.length)
      tally.frames++
    }
  }
  let openBytes = 0
  return chunk => {
    openBytes += chunk.length
    const whole = Math.floor(openBytes / (lineBytes + 1))
    tally.publications += whole
    tally.frames++
    openBytes -= whole * (lineBytes + 1)
    // The chunk ends where we think a line ends only if the lengths are right.
    if (openBytes === 0 && chunk[chunk.length - 1] !== NEWLINE) tally.odd++
  }
}

const TEXT_FRAME = 0x81
const HEADER_BYTES_MAX = 10

/** Unmasked WebSocket frames of text, each with one or more lines. */
export function countFrames(tally: Tally, lineBytes: number): Counter {
  /** Bytes of the frame that are still to come. */
  let leftBytes = 0
  const header = new Uint8Array(HEADER_BYTES_MAX)
  let headerBytes = 0
  const begin = (payloadBytes: number) => {
    tally.frames++
    leftBytes = payloadBytes
    if (lineBytes === 0) {
      tally.publications++
    } else {
      const lines = (payloadBytes + 1) / (lineBytes + 1)
      if (Number.isInteger(lines)) tally.publications += lines
      else tally.odd++
    }
  }
  return chunk => {
    let at = 0
    while (at < chunk.length) {
      if (leftBytes > 0) {
        const end = Math.min(chunk.length, at + leftBytes)
        if (lineBytes === 0) tally.publications += newlinesIn(chunk, at, end)
        leftBytes -= end - at
        at = end
        continue
      }
      header[headerBytes++] = chunk[at++]!
      if (headerBytes < 2 || headerBytes < headerLength(header)) continue
      if (header[0] !== TEXT_FRAME) tally.odd++
      begin(payloadLength(header))
      headerBytes = 0
    }
  }
}

function headerLength(header: Uint8Array): number {
  return header[1] === 126 ? 4 : header[1] === 127 ? HEADER_BYTES_MAX : 2
}

function payloadLength(header: Uint8Array): number {
  if (header[1]! < 126) return header[1]!
  if (header[1] === 126) return header[2]! * 256 + header[3]!
  return header.subarray(2).reduce((length, byte) => length * 256 + byte, 0)
}

function newlinesIn(chunk: Uint8Array, start: number, end: number): number {
  let count = 0
  for (let at = chunk.indexOf(NEWLINE, start); at >= 0 && at < end; at = chunk.indexOf(NEWLINE, at + 1))
    count++
  return count
}
