// Reads ZIP archives as strictly as a test needs it: by their central directory, each entry checked by its CRC.

import { crc32, inflateRawSync } from 'node:zlib'

const END = 0x06054b50
const ENTRY = 0x02014b50
const LOCAL = 0x04034b50

/** Contents by path. */
export function readZip(archive: Buffer): Map<string, Buffer> {
  const end = archive.length - 22
  if (archive.readUInt32LE(end) !== END) throw new Error('the archive does not end as one')
  const entries = new Map<string, Buffer>()
  let at = archive.readUInt32LE(end + 16)
  for (let count = archive.readUInt16LE(end + 10); count > 0; count--) {
    if (archive.readUInt32LE(at) !== ENTRY) throw new Error(`no entry at ${at}`)
    const method = archive.readUInt16LE(at + 10)
    const [checksum, packed, size] = [16, 20, 24].map(offset => archive.readUInt32LE(at + offset))
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map(offset =>
      archive.readUInt16LE(at + offset),
    )
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength!)
    const content = contentAt(archive, archive.readUInt32LE(at + 42), packed!, method)
    if (content.length !== size || crc32(content) !== checksum) throw new Error(`${name} is damaged`)
    if (entries.has(name)) throw new Error(`${name} is there twice`)
    entries.set(name, content)
    at += 46 + nameLength! + extraLength! + commentLength!
  }
  return entries
}

function contentAt(archive: Buffer, at: number, packed: number, method: number): Buffer {
  if (archive.readUInt32LE(at) !== LOCAL) throw new Error(`no file at ${at}`)
  const start = at + 30 + archive.readUInt16LE(at + 26) + archive.readUInt16LE(at + 28)
  const content = archive.subarray(start, start + packed)
  return method === 0 ? content : inflateRawSync(content)
}
