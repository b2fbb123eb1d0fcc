// What there is over HTTP besides the methods, for the reference. Any thread; a test asks each of them.

export type Route = Readonly<{
  method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Below the host. `{name}` stands for a part. */
  path: string
  about: string
  /** In the address, behind the question mark. */
  query?: Readonly<Record<string, string>>
  /** In the head of the request: those that it needs. */
  headers?: Readonly<Record<string, string>>
  /** What the body is. */
  body?: 'bytes'
  /** Of the answer when all is well. */
  status: number
  answers: 'bytes' | 'json' | 'nothing'
  /** Nobody need be logged in. */
  isOpen?: boolean
}>

const name = 'Name of the file; a Content-Disposition does as well.'
const visibility =
  '`private` (the default), `public`, or `conversation`: only for messages; deleted with the last one that has it, or when none has had it for a day.'
const tus = { 'Tus-Resumable': '1.0.0' }

export const routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/messenger/files',
    about: 'Uploads a file of at most 5 MiB in one request; its bytes are the body. Needs a Content-Length.',
    query: { name, visibility },
    body: 'bytes',
    status: 201,
    answers: 'json',
  },
  {
    method: 'GET',
    path: '/messenger/files/{id}',
    about:
      'The bytes of a file: sound and film may be played by a browser, all else is to be saved (images are shown by their view). With ETag, Range and If-Range. Each request is checked: who may not have it gets 404.',
    query: { download: '`1`: to be saved in any case.' },
    status: 200,
    answers: 'bytes',
  },
  {
    method: 'GET',
    path: '/messenger/files/{id}/view',
    about: 'An image as it is shown in conversations: the same picture without metadata.',
    status: 200,
    answers: 'bytes',
  },
  {
    method: 'GET',
    path: '/messenger/files/{id}/thumbnail',
    about: 'An image of at most 480 pixels, without metadata.',
    status: 200,
    answers: 'bytes',
  },
  {
    method: 'POST',
    path: '/messenger/uploads',
    about:
      'Begins a resumable upload (tus 1.0, https://tus.io). Room for it is reserved, or it is refused before the first byte. `Upload-Metadata` has `filename`, and may have `visibility`.',
    headers: { ...tus, 'Upload-Length': 'Bytes of the whole file.', 'Upload-Metadata': 'filename BASE64' },
    status: 201,
    answers: 'nothing',
  },
  {
    method: 'HEAD',
    path: '/messenger/uploads/{id}',
    about: 'How far an upload has come: `Upload-Offset`.',
    headers: tus,
    status: 200,
    answers: 'nothing',
  },
  {
    method: 'PATCH',
    path: '/messenger/uploads/{id}',
    about:
      'Goes on with an upload. When its last byte has come it is a file under the same id: `/messenger/files/{id}`.',
    headers: {
      ...tus,
      'Upload-Offset': 'Where the body begins.',
      'Content-Type': 'application/offset+octet-stream',
    },
    body: 'bytes',
    status: 204,
    answers: 'nothing',
  },
  {
    method: 'DELETE',
    path: '/messenger/uploads/{id}',
    about: 'Gives an upload up.',
    headers: tus,
    status: 204,
    answers: 'nothing',
  },
  {
    method: 'OPTIONS',
    path: '/messenger/uploads',
    about: 'What of tus is served.',
    status: 204,
    answers: 'nothing',
    isOpen: true,
  },
  {
    method: 'GET',
    path: '/messenger/conversations/{id}/export',
    about: 'All messages of a conversation of the caller as one file.',
    query: {
      format: '`jsonl` (the default): a message a line; `html`: a zip of a readable page and attachments.',
    },
    status: 200,
    answers: 'bytes',
  },
  {
    method: 'GET',
    path: '/messenger/openapi.json',
    about: 'This API as OpenAPI 3.1.',
    status: 200,
    answers: 'json',
    isOpen: true,
  },
]
