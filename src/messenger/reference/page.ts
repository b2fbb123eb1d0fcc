// The reference of all methods as a page in Markdown. Any thread; used when it is written.

import { failures } from '../failures.ts'
import type { Access, Method } from '../method.ts'
import { routes } from './routes.ts'
import { type DescribedMethod, describeMethods, recordOf, type Schema } from './schemas.ts'

const ACCESS: Readonly<Record<Exclude<Access, 'shard'>, string>> = {
  stranger: 'For anybody, and before `connect`.',
  user: '',
  admin: 'For administrators.',
}

export function referencePage(methods: Iterable<Method>): string {
  const { methods: described, records } = describeMethods(methods)
  const groups = Map.groupBy(described, ({ method }) => method.name.split('.')[0]!)
  const contents = [...groups].map(
    ([group, members]) => `- ${group}: ${members.map(({ method }) => linkTo(method.name)).join(', ')}`,
  )
  const sections = [...groups].flatMap(([group, members]) => [`## ${group}`, ...members.map(methodSection)])
  const recordSections = [...records].map(([name, schema]) => `### Record ${name}\n\n${fieldTable(schema)}`)
  return `${[
    HEAD,
    contents.join('\n'),
    ERRORS_HEAD,
    errorTable(),
    ROUTES_HEAD,
    routeTable(),
    ...sections,
    '## Records',
    ...recordSections,
  ].join('\n\n')}\n`
}

const HEAD = `# Methods of the messenger

<!-- Written by \`fanwire api-reference\` from the definitions of the methods: don't edit it here. -->

Each method is an rpc over a connection (\`{"id":1,"rpc":{"method":"NAME","data":{…}}}\`) and a request over HTTP
(\`POST /messenger/rpc/NAME\` with the same data as body, \`Content-Type: application/json\`, and \`Authorization: Bearer SESSION\`
or the cookie). Input, output and errors are the same. Over HTTP unknown fields are refused;
over a connection most methods ignore them.
A \`*\` marks fields that are required in an input, and those that are always there in an output. Times are milliseconds since
1970. \`GET /messenger/openapi.json\` is the same as OpenAPI 3.1. How it all works together: [the messenger](messenger.md).`

const ERRORS_HEAD = `## Errors

Over a connection \`{"error":{"code","message","temporary"?,"retry_after_ms"?}}\`, over HTTP the same with the status. What is \`temporary\` may be tried
again, over HTTP after \`Retry-After\`. Every method may be refused with bad_request, busy, storage or internal, and all but those for
anybody with unauthorized and rate; what else there is, each says itself.`

const ROUTES_HEAD = `## HTTP besides the methods

With the same login; OPTIONS and openapi.json need none. A request that changes something by the cookie needs an \`Origin\` that is
the host's own or listed in \`client.allowed_origins\`. Tokens in an address (\`?token=…\`) are refused: use the header or the cookie.
Pages of other origins get no CORS headers. A client that sends less than 16 KiB/s of a body, or takes nothing of an answer for 10 s,
is disconnected: uploads by tus and downloads by Range go on where they were.`

function linkTo(name: string): string {
  return `[${name}](#${name.toLowerCase().replaceAll('.', '')})`
}

function errorTable(): string {
  const rows = Object.entries(failures).map(
    ([kind, { code, status, message, temporary }]) =>
      `| ${kind} | ${code} | ${status} | ${message}${temporary ? '; temporary' : ''} |`,
  )
  return table('| | code | HTTP | |', rows)
}

function routeTable(): string {
  const rows = routes.map(({ method, path, about, query = {} }) => {
    const options = Object.entries(query).map(([name, what]) => `\`?${name}=\` ${what}`)
    return `| \`${method} ${path}\` | ${[about, ...options].join(' ')} |`
  })
  return table('| | |', rows)
}

function methodSection({ method, input, output }: DescribedMethod): string {
  const { name, about, access, fails } = method
  const who = ACCESS[access as keyof typeof ACCESS]
  const refusals = fails.length === 0 ? '' : `Fails with ${fails.join(', ')}.`
  return [
    `### ${name}`,
    [about, who, refusals].filter(text => text !== '').join(' '),
    `Input${isEmpty(input) ? ': nothing.' : `:\n\n${fieldTable(input)}`}`,
    `Output${isEmpty(output) ? ': nothing.' : `:\n\n${fieldTable(output)}`}`,
  ].join('\n\n')
}

function isEmpty({ properties }: Schema): boolean {
  return properties !== undefined && Object.keys(properties).length === 0
}

function fieldTable(schema: Schema): string {
  if (schema.properties === undefined) return typeText(schema)
  return table('| field | | |', fieldRows(schema, ''))
}

function table(head: string, rows: readonly string[]): string {
  return [head, head.replaceAll(/[^|]+/g, '---'), ...rows].join('\n')
}

/** Fields of objects within stand below theirs, with their whole path. */
function fieldRows({ properties = {}, required = [] }: Schema, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const isRequired = required.includes(name) && field.default === undefined
    const byDefault = field.default === undefined ? '' : `Default \`${JSON.stringify(field.default)}\`.`
    const notes = [field.description ?? '', byDefault].filter(text => text !== '').join(' ')
    const path = `${prefix}${name}`
    const row = `| \`${path}\`${isRequired ? '*' : ''} | ${cell(typeText(field))} | ${cell(notes)} |`
    const inner = field.items ?? field
    return [row, ...fieldRows(inner, `${path}${field.items === undefined ? '' : '[]'}.`)]
  })
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function typeText(schema: Schema): string {
  const record = recordOf(schema)
  if (record !== undefined) return `[${record}](#record-${record.toLowerCase()})`
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map(one => `\`${JSON.stringify(one)}\``).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return choices.map(typeText).join(' | ')
  switch (schema.type) {
    case 'array':
      return `list of ${typeText(schema.items ?? {})}${boundsText(schema.minItems, schema.maxItems)}`
    case 'string':
      return `string${boundsText(schema.minLength, schema.maxLength, 'characters')}`
    case 'integer':
    case 'number':
      return `${schema.type}${boundsText(schema.minimum, schema.maximum)}`
    case 'object':
      return typeof schema.additionalProperties === 'object'
        ? `object of ${typeText(schema.additionalProperties)}`
        : 'object'
    default:
      return schema.type ?? 'any JSON'
  }
}

function boundsText(min: number | undefined, max: number | undefined, unit = ''): string {
  if (min === undefined && max === undefined) return ''
  const range = max === undefined ? `≥ ${min}` : min === undefined ? `≤ ${max}` : `${min}–${max}`
  return `, ${range}${unit === '' ? '' : ` ${unit}`}`
}
