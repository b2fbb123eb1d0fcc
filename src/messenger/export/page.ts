// The page of an export, as text. Any thread; pure. Invariants: all that users wrote is escaped; the page may load nothing
// but the files beside it, and runs no script.

import { createHash } from 'node:crypto'
import { isImage } from '../files/types.ts'
import type { FileRecord, Message } from '../model.ts'
import { escapeHtml } from './escape.ts'

const STYLE = `
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
article{padding:.6rem 0;border-top:1px solid #ddd;overflow-wrap:anywhere}
header{color:#595959;font-size:.85rem}header b{color:#222;font-size:1rem;margin-right:.5rem}
p{margin:.2rem 0;white-space:pre-wrap}.gone{color:#595959;font-style:italic}
img{display:block;max-width:100%;max-height:24rem;margin:.4rem 0}ul{margin:.2rem 0;padding-left:1.2rem}
@media(prefers-color-scheme:dark){body,header b{color:#ddd}body{background:#181818}article{border-color:#333}header,.gone{color:#aaa}a{color:#8bf}}
`

const styleHash = createHash('sha256').update(STYLE).digest('base64')
/** A page from a disk has no origin of its own in some browsers: there `file:` says what 'self' does elsewhere. */
const POLICY = `default-src 'none'; img-src 'self' file:; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'`

export function pageStart(title: string): string {
  const shown = escapeHtml(title)
  return `<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>${shown}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${shown}</h1>
`
}

export function pageEnd(): string {
  return '</body>\n</html>\n'
}

export function pageMessage(message: Message, nameOf: (user: number) => string): string {
  const { seq, author, created_ms, deleted_ms, edited_ms, reply_to, pinned } = message
  const notes = [
    `<a href="#m${seq}">${seq}</a>`,
    time(created_ms),
    edited_ms > 0 && `edited ${time(edited_ms)}`,
    reply_to > 0 && `in reply to <a href="#m${reply_to}">${reply_to}</a>`,
    pinned && 'pinned',
  ]
  const shown = notes.filter(note => note !== false).join(' · ')
  const head = `<header><b>${escapeHtml(nameOf(author))}</b>${shown}</header>`
  const body = deleted_ms > 0 ? '<p class="gone">deleted</p>' : content(message)
  return `<article id="m${seq}">${head}${body}</article>\n`
}

function content({ text, attachments, reactions }: Message): string {
  const paragraph = text === '' ? '' : `<p dir="auto">${linked(text)}</p>`
  const reacted = reactions.map(({ emoji, users }) => `${escapeHtml(emoji)} ${users.length}`).join('  ')
  return paragraph + attachments.map(attachment).join('') + (reacted === '' ? '' : `<p>${reacted}</p>`)
}

function attachment(file: FileRecord): string {
  const path = escapeHtml(`files/${encodeURIComponent(file.id)}/${encodeURIComponent(file.name)}`)
  const name = escapeHtml(file.name)
  if (isImage(file.type)) return `<a href="${path}"><img src="${path}" alt="${name}" loading="lazy"></a>`
  return `<ul><li><a href="${path}" download>${name}</a> (${file.size} bytes)</li></ul>`
}

/** Only what begins with http becomes a link. */
function linked(text: string): string {
  const parts = text.split(/(https?:\/\/[^\s<>"']+)/i)
  return parts
    .map((part, index) => {
      const escaped = escapeHtml(part)
      return index % 2 === 0 ? escaped : `<a rel="noopener noreferrer" href="${escaped}">${escaped}</a>`
    })
    .join('')
}

function time(ms: number): string {
  const text = new Date(ms).toISOString()
  return `<time datetime="${text}">${text.slice(0, 19).replace('T', ' ')} UTC</time>`
}
