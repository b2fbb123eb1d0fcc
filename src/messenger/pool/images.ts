// What is shown of an image: a version without metadata, a thumbnail, a blurred placeholder. A thread of the pool.
// Invariants: only the five formats are ever decoded, whatever the bytes claim; nothing made here carries EXIF, GPS or
// other metadata; an image that is too large or broken is a file without preview.

import sharp, { type Sharp } from 'sharp'

export type Preview = Readonly<{
  /** As it stands upright. */
  width: number
  height: number
  /** Data URI. */
  blur: string
  view: Buffer
  thumbnail: Buffer
}>

/** What a screen needs, as clients scale pictures down before they send them. */
const VIEW_EDGE_MAX = 2_560
const THUMBNAIL_EDGE_MAX = 480
const QUALITY = { view: 84, thumbnail: 76, blur: 20 } as const
/** Encoding webp: 0 to 6, from fast to small. */
const EFFORT = 2
/** Larger animations are shown as their first picture: each frame costs as much as a picture. */
const ANIMATION_PIXELS_MAX = 25_000_000
/** Larger files are not looked into. */
const IMAGE_BYTES_MAX = 200 * 1_024 * 1_024
const STEP_SECONDS_MAX = 20
/** It goes with each message that has the image. */
const BLUR_LENGTH_MAX = 500
const BLUR_EDGES = [16, 10, 6, 3]

const FORMATS: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'image/avif': 'heif',
}

// Several pictures at once are several threads of the pool; a cache has no use, since each picture comes once.
sharp.concurrency(1)
sharp.cache(false)
// Other decoders (SVG, PDF, TIFF, …) are never to see what users send.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadHeif',
  ],
})

/** `type`: what the first bytes say. Undefined: it gets no preview. */
export async function makePreview(
  path: string,
  type: string,
  size: number,
  pixelsMax: number,
): Promise<Preview | undefined> {
  const format = FORMATS[type]
  if (format === undefined || size > IMAGE_BYTES_MAX) return undefined
  try {
    return await decode(path, format, pixelsMax)
  } catch {
    // Broken, or a bomb. That is no error of ours: it is kept as it is.
    return undefined
  }
}

async function decode(path: string, format: string, pixelsMax: number): Promise<Preview | undefined> {
  const input = { limitInputPixels: pixelsMax, failOn: 'error', sequentialRead: true } as const
  const metadata = await sharp(path, input).metadata()
  const { pages = 1, pageHeight = metadata.height, width: pageWidth } = metadata
  if (metadata.format !== format || pageWidth * pageHeight > pixelsMax) return undefined
  const { width, height } = metadata.autoOrient
  const isMoving = pages > 1 && pageWidth * pageHeight * pages <= Math.min(pixelsMax, ANIMATION_PIXELS_MAX)
  const upright = sharp(path, { ...input, animated: isMoving }).autoOrient()
  const view = await webp(upright, VIEW_EDGE_MAX, QUALITY.view)
  // From the view, which is small and known to be sound: the original is decoded once.
  const thumbnail = await webp(sharp(view), THUMBNAIL_EDGE_MAX, QUALITY.thumbnail)
  return { width, height: isMoving ? pageHeight : height, blur: await blurOf(thumbnail), view, thumbnail }
}

function webp(image: Sharp, edgeMax: number, quality: number): Promise<Buffer> {
  return image
    .resize({ width: edgeMax, height: edgeMax, fit: 'inside', withoutEnlargement: true })
    .webp({ quality, effort: EFFORT })
    .timeout({ seconds: STEP_SECONDS_MAX })
    .toBuffer()
}

async function blurOf(thumbnail: Buffer): Promise<string> {
  for (const edge of BLUR_EDGES) {
    const tiny = await webp(sharp(thumbnail), edge, QUALITY.blur)
    const uri = `data:image/webp;base64,${tiny.toString('base64')}`
    if (uri.length <= BLUR_LENGTH_MAX) return uri
  }
  return ''
}
