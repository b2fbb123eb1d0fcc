// Which types of content a browser may show, by what the bytes say. Any thread; pure. Invariant: what can carry a script
// (HTML, SVG, PDF, anything unknown) is never among them.

const UNKNOWN_TYPE = 'application/octet-stream'

/** Types that get a preview. They are shown as that; their own bytes, which carry metadata, are for saving only. */
const IMAGES: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/gif',
  'image/avif',
])

/** Other types that are safe to show. */
const MEDIA: ReadonlySet<string> = new Set([
  'video/mp4',
  'video/webm',
  'audio/mpeg',
  'audio/ogg',
  'video/ogg',
])

export function isImage(type: string): boolean {
  return IMAGES.has(type)
}

/** Whether the bytes themselves may be shown inside a page. */
export function isShownAsItIs(type: string): boolean {
  return MEDIA.has(type)
}

/** What is said over HTTP: a type that browsers do nothing with, unless it is a safe one. */
export function servedType(type: string): string {
  return isImage(type) || isShownAsItIs(type) ? type : UNKNOWN_TYPE
}

/** Sniffers add parameters ('audio/ogg; codecs=opus'), which are no part of the type. */
export function bareType(sniffed: string | undefined): string {
  return sniffed === undefined ? UNKNOWN_TYPE : sniffed.split(';')[0]!.trim().toLowerCase()
}
