// Images: what is shown of them has no metadata, bombs and broken ones are files like any other, and nothing unsafe is
// ever shown.

import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { openFiles } from './files-world.ts'

const GPS = {
  IFD0: { Make: 'Secretcam' },
  IFD3: {
    GPSLatitudeRef: 'N',
    GPSLatitude: '52/1 31/1 0/1',
    GPSLongitudeRef: 'E',
    GPSLongitude: '13/1 24/1 0/1',
  },
}

const noise = (width: number, height: number, channels: 3 | 4 = 3) =>
  sharp(randomBytes(width * height * channels), { raw: { width, height, channels } })

const gradient = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 80, b: 20 } } })

/** A PNG of one colour, however large, in few bytes. */
function bomb(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const framed = Buffer.alloc(body.length + 8)
    framed.writeUInt32BE(data.length, 0)
    body.copy(framed, 4)
    framed.writeUInt32BE(crc32(body), body.length + 4)
    return framed
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const pixels = deflateSync(Buffer.alloc((width * 3 + 1) * height), { level: 9 })
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  const parts = [chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([signature, ...parts])
}

function crc32(bytes: Buffer): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}

describe('what is shown of an image', () => {
  test('stands upright and carries no metadata; its own bytes stay as they are, for saving', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const photo = await gradient(1_200, 800).withMetadata({ exif: GPS, orientation: 6 }).jpeg().toBuffer()
    expect((await sharp(photo).metadata()).exif?.includes('Secretcam')).toBe(true)
    const file = await world.upload(ada, photo, { name: 'photo.jpg' })
    expect(file).toMatchObject({ type: 'image/jpeg', width: 800, height: 1_200, size: photo.length })
    expect(file.blur).toMatch(/^data:image\/webp;base64,/)
    expect(file.blur.length).toBeLessThanOrEqual(500)
    for (const [part, edge] of [
      ['view', 1_200],
      ['thumbnail', 480],
    ] as const) {
      const response = await world.request(ada, `/files/${file.id}/${part}`)
      expect(response.headers.get('content-type')).toBe('image/webp')
      expect(response.headers.get('content-disposition')).toMatch(/^inline/)
      const bytes = Buffer.from(await response.arrayBuffer())
      const metadata = await sharp(bytes).metadata()
      expect([metadata.width, metadata.height]).toEqual([Math.round((edge * 2) / 3), edge])
      expect([metadata.exif, metadata.xmp, metadata.iptc, metadata.orientation]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ])
      expect(bytes.includes('Secretcam')).toBe(false)
    }
    const original = await world.request(ada, `/files/${file.id}`)
    expect(original.headers.get('content-disposition')).toBe('attachment; filename=photo.jpg')
    expect(Buffer.from(await original.arrayBuffer()).equals(photo)).toBe(true)
  })

  test.each([
    ['png', () => noise(300, 200, 4).png().toBuffer(), 'image/png'],
    ['webp', () => noise(300, 200).webp().toBuffer(), 'image/webp'],
    ['gif', () => gradient(300, 200).gif().toBuffer(), 'image/gif'],
    ['avif', () => gradient(300, 200).avif({ effort: 0 }).toBuffer(), 'image/avif'],
    ['jpeg', () => noise(300, 200).jpeg().toBuffer(), 'image/jpeg'],
  ])('is made of %s', async (_, make, type) => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const file = await world.upload(ada, await make())
    expect(file).toMatchObject({ type, width: 300, height: 200 })
    expect((await sharp(await world.bytes(ada, `/files/${file.id}/view`)).metadata()).format).toBe('webp')
  })

  test('moves when it moves', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const frames = await Promise.all(
      ['red', 'green', 'blue'].map(background =>
        sharp({ create: { width: 100, height: 60, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    )
    const gif = await sharp(frames, { join: { animated: true } })
      .gif({ delay: [100, 100, 100] })
      .toBuffer()
    const file = await world.upload(ada, gif)
    expect(file).toMatchObject({ type: 'image/gif', width: 100, height: 60 })
    const view = await sharp(await world.bytes(ada, `/files/${file.id}/view`)).metadata()
    expect([view.width, view.pageHeight ?? view.height, view.pages]).toEqual([100, 60, 3])
    const thumbnail = await sharp(await world.bytes(ada, `/files/${file.id}/thumbnail`)).metadata()
    expect(thumbnail.pages ?? 1).toBe(1)
  })

  test('follows the permission of the file', async () => {
    const world = openFiles()
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob')]
    const file = await world.upload(ada, await gradient(50, 50).png().toBuffer())
    for (const part of ['view', 'thumbnail']) {
      expect((await world.request(bob, `/files/${file.id}/${part}`)).status).toBe(404)
      expect((await world.request(undefined, `/files/${file.id}/${part}`)).status).toBe(401)
    }
    const text = await world.upload(ada, Buffer.from('text'))
    expect((await world.request(ada, `/files/${text.id}/view`)).status).toBe(404)
  })
})

describe('33: an image that is none', () => {
  test('or a bomb of 144 megapixels, is kept as a file without preview', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = bomb(12_000, 12_000)
    expect(bytes.length).toBeLessThan(500_000)
    const file = await world.upload(ada, bytes)
    expect(file).toMatchObject({ type: 'image/png', size: bytes.length })
    expect(file.width).toBeUndefined()
    expect(file.blur).toBeUndefined()
    expect(world.names('thumbs')).toEqual([])
    expect((await world.request(ada, `/files/${file.id}/view`)).status).toBe(404)
    const small = await world.upload(ada, bomb(100, 100))
    expect(small.width).toBe(100)
  })

  test('as one that is cut off, or only begins like one', async () => {
    const world = openFiles({ uploads_per_user: 10 })
    const ada = world.addUser('ada')
    const whole = await noise(200, 200).png().toBuffer()
    for (const bytes of [
      whole.subarray(0, whole.length / 2),
      Buffer.concat([whole.subarray(0, 40), randomBytes(5_000)]),
      Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(5_000)]),
      Buffer.from('GIF89a<script>alert(1)</script>'),
    ]) {
      const file = await world.upload(ada, bytes)
      expect(file.width).toBeUndefined()
      const response = await world.request(ada, `/files/${file.id}`)
      expect(response.headers.get('content-disposition')).toMatch(/^attachment/)
      expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true)
    }
    expect(world.faults).toEqual([])
    expect(world.log).toEqual([])
  })
})

describe('31: what is served', () => {
  const ISOLATED = {
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'private, no-store',
  }

  test.each([
    ['page.html', '<!doctype html><script>alert(1)</script>'],
    ['image.svg', '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'],
    ['declared.svg', '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'],
    ['paper.pdf', '%PDF-1.7\n1 0 obj <</OpenAction <</S /JavaScript>>>>'],
    ['photo.jpg', '<html><body onload=alert(1)>'],
    ['script.js', 'alert(1)'],
    ['page.xhtml', '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script/></html>'],
    ['flash.swf', 'CWS\u0009'],
    ['polyglot.gif', '<!--GIF89a--><script>alert(1)</script>'],
  ])('of %s can only be saved: its name counts nothing', async (name, text) => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const file = await world.upload(ada, Buffer.from(text), { name })
    const { headers } = await world.request(ada, `/files/${file.id}`)
    expect(headers.get('content-type')).toBe('application/octet-stream')
    expect(headers.get('content-disposition')).toBe(`attachment; filename=${name}`)
    for (const [field, value] of Object.entries(ISOLATED)) expect(headers.get(field), field).toBe(value)
  })

  test('a polyglot of an image and a page is shown as an image that was drawn anew, and saved as what it is', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const gif = await gradient(20, 20).gif().toBuffer()
    const bytes = Buffer.concat([gif, Buffer.from('<script>alert(1)</script>')])
    const file = await world.upload(ada, bytes, { name: 'x.html' })
    const original = await world.request(ada, `/files/${file.id}`)
    expect(original.headers.get('content-type')).toBe('image/gif')
    expect(original.headers.get('content-disposition')).toMatch(/^attachment/)
    expect((await world.bytes(ada, `/files/${file.id}/view`)).includes('script')).toBe(false)
  })

  test('sound and film may be played, unless they are to be saved', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const mp4 = Buffer.concat([
      Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0mp42isom', 'latin1'),
      randomBytes(1_000),
    ])
    const file = await world.upload(ada, mp4, { name: 'film.mp4' })
    expect(file.type).toBe('video/mp4')
    const shown = await world.request(ada, `/files/${file.id}`, { headers: { range: 'bytes=4-7' } })
    expect([shown.status, await shown.text()]).toEqual([206, 'ftyp'])
    expect(shown.headers.get('content-disposition')).toBe('inline; filename=film.mp4')
    expect(shown.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
    const saved = await world.request(ada, `/files/${file.id}?download=1`)
    expect(saved.headers.get('content-disposition')).toBe('attachment; filename=film.mp4')
  })

  test('names are told in both ways of RFC 6266, and break out of neither', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const file = await world.upload(ada, Buffer.from('x'), { name: 'Übel";\r\nset-cookie: a=b; 写真%41.txt' })
    const response = await world.request(ada, `/files/${file.id}`)
    const header = response.headers.get('content-disposition')!
    expect(header).toMatch(/^attachment; filename="[ -~]*"; filename\*=UTF-8''[\w!#$&+.^`|~%-]*$/)
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(decodeURIComponent(header.split("UTF-8''")[1]!)).toBe('Übel_;set-cookie_ a=b; 写真%41.txt')
  })
})

describe('35: a download', () => {
  test('goes on where it was cut, as long as the file is the same', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(500_000)
    const file = await world.upload(ada, bytes)
    const path = `/files/${file.id}`
    const whole = await world.request(ada, path)
    const etag = whole.headers.get('etag')!
    expect(etag).toBe(`"${file.sha256}"`)
    expect(whole.headers.get('accept-ranges')).toBe('bytes')
    await whole.body?.cancel()
    const part = async (headers: Record<string, string>) => {
      const response = await world.request(ada, path, { headers })
      return { response, body: Buffer.from(await response.arrayBuffer()) }
    }
    const rest = await part({ range: 'bytes=300000-', 'if-range': etag })
    expect(rest.response.status).toBe(206)
    expect(rest.response.headers.get('content-range')).toBe('bytes 300000-499999/500000')
    expect(rest.body.equals(bytes.subarray(300_000))).toBe(true)
    const other = await part({ range: 'bytes=300000-', 'if-range': '"other"' })
    expect([other.response.status, other.body.length]).toEqual([200, 500_000])
    const beyond = await part({ range: 'bytes=500000-' })
    expect([beyond.response.status, beyond.response.headers.get('content-range')]).toEqual([
      416,
      'bytes */500000',
    ])
    expect((await part({ range: 'bytes=0-1,2-3' })).response.status).toBe(416)
    expect((await part({ 'if-none-match': etag })).response.status).toBe(304)
    const head = await world.request(ada, path, { method: 'HEAD', headers: { range: 'bytes=1-2' } })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '500000'])
    expect((await ada.call('file.get', { id: file.id })).file.downloads).toBeLessThanOrEqual(2)
  })

  test('of a file that all users may have may be kept, but is asked for again', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const file = await world.upload(ada, Buffer.from('x'), { visibility: 'public' })
    const { headers } = await world.request(ada, `/files/${file.id}`)
    expect(headers.get('cache-control')).toBe('private, no-cache')
  })
})
