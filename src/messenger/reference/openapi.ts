// The HTTP API of the messenger as OpenAPI 3.1. Any thread; used when the reference is written.

import { type FailureKind, failures } from '../failures.ts'
import type { Method } from '../method.ts'
import { type Route, routes } from './routes.ts'
import { type DescribedMethod, describeMethods } from './schemas.ts'

/** What a method may be refused for beside what it names itself. */
const ALWAYS: readonly FailureKind[] = ['bad_request', 'internal', 'busy', 'storage']
const WITH_LOGIN: readonly FailureKind[] = ['unauthorized', 'rate']

export function failuresOf({ access, fails }: Method): FailureKind[] {
  return [...new Set([...ALWAYS, ...(access === 'stranger' ? [] : WITH_LOGIN), ...fails])]
}

export function openapi(methods: Iterable<Method>): object {
  const described = describeMethods(methods)
  const document = {
    openapi: '3.1.0',
    info: { title: 'fanwire messenger', version: '1', description: ABOUT, license: { name: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { cookie: [] }],
    paths: {
      ...Object.fromEntries(described.methods.map(one => [pathOf(one.method), { post: operationOf(one) }])),
      ...routePaths(),
    },
    components: {
      schemas: { ...Object.fromEntries(described.records), Error: ERROR },
      responses: {
        Refused: {
          description: 'Refused; the code says why.',
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The session token of a log-in.' },
        cookie: { type: 'apiKey', in: 'cookie', name: '__Host-fanwire' },
      },
    },
  }
  return JSON.parse(JSON.stringify(document).replaceAll('"#/$defs/', '"#/components/schemas/'))
}

const ABOUT =
  'Accounts, conversations, messages, search and files. Each method is also an rpc over the connections of the relay.'

const ERROR = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'integer', enum: [...new Set(Object.values(failures).map(({ code }) => code))] },
        message: { type: 'string' },
        temporary: { type: 'boolean', description: 'It may be tried again; Retry-After says when.' },
        retry_after_ms: { type: 'integer', description: 'When, where that is known.' },
      },
    },
  },
}

function pathOf({ name }: Method): string {
  return `/messenger/rpc/${name}`
}

function operationOf({ method, input, output }: DescribedMethod): object {
  return {
    operationId: method.name,
    tags: [method.name.split('.')[0]],
    summary: method.about,
    ...(method.access === 'stranger' && { security: [] }),
    ...(method.access === 'admin' && { description: 'For administrators.' }),
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { ...input, additionalProperties: false } } },
    },
    responses: {
      200: { description: 'Done.', content: { 'application/json': { schema: output } } },
      ...Object.fromEntries(
        failuresOf(method).map(kind => [failures[kind].status, { $ref: '#/components/responses/Refused' }]),
      ),
    },
  }
}

function routePaths(): Record<string, object> {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    paths[route.path] ??= {}
    paths[route.path]![route.method.toLowerCase()] = routeOperation(route)
  }
  return paths
}

const BYTES = { 'application/octet-stream': { schema: {} } }
const CONTENT = {
  bytes: { '*/*': { schema: {} } },
  json: { 'application/json': { schema: {} } },
  nothing: undefined,
}

function routeOperation(route: Route): object {
  const parameter =
    (where: string) =>
    ([name, description]: [string, string]) => ({
      name,
      in: where,
      required: where !== 'query',
      description,
      schema: { type: 'string' },
    })
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name!, ''] as [string, string])
  const content = CONTENT[route.answers]
  return {
    operationId: `${route.method.toLowerCase()} ${route.path}`,
    tags: ['files and exports'],
    summary: route.about,
    ...(route.isOpen && { security: [] }),
    parameters: [
      ...inPath.map(parameter('path')),
      ...Object.entries(route.query ?? {}).map(parameter('query')),
      ...Object.entries(route.headers ?? {}).map(parameter('header')),
    ],
    ...(route.body && { requestBody: { required: true, content: BYTES } }),
    responses: {
      [route.status]: { description: 'Done.', ...(content && { content }) },
      default: { $ref: '#/components/responses/Refused' },
    },
  }
}
