// Keeps the structure of src/ and of the tools beside it: layers, no cycles, who may import what, sizes and names. It
// reads the sources as text.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const FILE_LINES_MAX = 400

/** A file imports from lower layers and from its own folder only. */
const LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  config: 1,
  shared: 1,
  protocol: 1,
  auth: 2,
  history: 2,
  metrics: 2,
  channel: 3,
  fanout: 3,
  session: 4,
  edge: 5,
  http: 5,
  messenger: 5,
  threads: 6,
  cli: 7,
  'main.ts': 8,
}

/** Packages and modules that only some places know, so that everything else can do without them. */
const ONLY_IN: readonly (readonly [module: string, places: readonly string[]])[] = [
  ['uWebSockets.js', ['edge/', 'http/', 'threads/acceptor.ts']],
  ['node:worker_threads', ['threads/']],
  ['prom-client', ['metrics/exporter.ts']],
  // Claims of tokens are input, as the configuration is.
  ['zod', ['config/', 'auth/claims.ts', 'messenger/']],
  ['msgpackr', ['protocol/envelope.ts']],
  ['node:sqlite', ['messenger/']],
  ['piscina', ['threads/']],
]

/** Programs beside the relay: it needs none of them. */
const TOOLS = ['load', 'bench', 'dashboards']

/** The same for these. */
const OF_TOOLS_ONLY_IN: readonly (readonly [module: string, places: readonly string[]])[] = [
  // Who publishes by the server API.
  ['undici', ['load/generator/api-lane.ts']],
  // It draws in the reader's browser: the page takes it as text.
  ['uplot', []],
  ['playwright-core', ['load/report/pictures.ts']],
  ['node:worker_threads', ['load/generator/', 'load/stage/thread.ts', 'load/target/leash.ts', 'bench/']],
  ['node:child_process', ['load/target/', 'load/peers/program.ts', 'dashboards/write.ts', 'bench/speed/']],
  ['uWebSockets.js', ['load/peers/servers/', 'bench/speed/raw-server.ts']],
  ['ws', ['load/peers/servers/']],
  ['socket.io', ['load/peers/servers/']],
  ['zod', ['load/compare/read.ts']],
  ['tinybench', ['bench/bench.ts']],
]

/** What each folder of load/ knows of it besides itself and the contracts. Others are programs, which may know all. */
const LOAD_CONTRACTS = ['model.ts', 'scenario.ts', 'errors.ts', 'random.ts', 'machine.ts', 'shown-url.ts']
const LOAD_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  compare: ['report/'],
  generator: ['ledger/'],
  knee: ['ledger/', 'options.ts', 'report/'],
  ledger: ['generator/requests.ts', 'report/units.ts'],
  peers: ['generator/', 'knee/', 'ledger/', 'report/', 'run-load.ts', 'scenarios/', 'target/'],
  report: ['compare/read.ts'],
  // Neither sockets nor threads.
  scenarios: ['report/units.ts'],
  stage: ['generator/', 'ledger/', 'target/'],
  target: ['generator/requests.ts'],
}

/** The same within the messenger: from the store up to the methods, and from these to those who call them. */
const MESSENGER_CONTRACTS = [
  'caller.ts',
  'channels.ts',
  'effects.ts',
  'failures.ts',
  'method.ts',
  'model.ts',
  'permissions.ts',
  'ports.ts',
  'tasks.ts',
  'text.ts',
]
const MESSENGER_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  store: [],
  files: ['store/'],
  search: ['store/'],
  guards: [],
  accounts: ['files/', 'membership.ts', 'store/'],
  methods: ['accounts/', 'files/', 'membership.ts', 'search/', 'store/'],
  export: ['files/', 'store/'],
  pool: ['export/', 'files/', 'methods/', 'store/'],
  // A shard needs no definitions of methods, and none of the SQL behind them.
  http: ['files/'],
  reference: [],
}

/** Words that say nothing, as parts of names of files or of what they export. */
const EMPTY_WORDS = /manager|handler|helper|util|service|common|impl(?![a-z])/i
const EMPTY_WORDS_IN_NAMES = /(?:Manager|Handler|Helper|Util|Service|Common|Impl)(?:s\b|[A-Z]|\b)/

type Import = Readonly<{ from: string; how: 'value' | 'type' | 'call' }>
type Source = Readonly<{ path: string; text: string; code: string; imports: readonly Import[] }>

/** Paths are relative to src/. */
const sources = sourcesIn('src', join(ROOT, 'src'))
const byPath = new Map(sources.map(source => [source.path, source]))
/** Paths are relative to the project. */
const tools = TOOLS.flatMap(folder => sourcesIn(folder, ROOT))
const all = [...sources, ...tools]

function sourcesIn(folder: string, base: string): Source[] {
  return listFiles(join(ROOT, folder))
    .filter(path => path.endsWith('.ts'))
    .map(path => readSource(path, base))
}

function listFiles(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => !path.includes(`${sep}node_modules${sep}`) && statSync(path).isFile())
    .sort()
}

function readSource(path: string, base: string): Source {
  const text = readFileSync(path, 'utf8')
  const code = withoutComments(text)
  return { path: relative(base, path).replaceAll(sep, '/'), text, code, imports: importsOf(code) }
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$|\s\/\/ .*$/gm, '')
}

function importsOf(code: string): Import[] {
  const statements = code.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)
  const calls = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)
  return [
    ...[...statements].map(
      ([, type, from]) => ({ from: from!, how: type === undefined ? 'value' : 'type' }) as const,
    ),
    ...[...calls].map(([, from]) => ({ from: from!, how: 'call' }) as const),
  ]
}

/** The file that a relative import means. */
function targetOf(source: Source, { from }: Import): string {
  return join(dirname(source.path), from).replaceAll(sep, '/')
}

const isRelative = ({ from }: Import) => from.startsWith('.')
const folderOf = (path: string) => path.split('/')[0]!

function layerOf(path: string): number {
  const layer = LAYERS[folderOf(path)]
  if (layer === undefined) throw new Error(`${path} is in no layer`)
  return layer
}

function isIn(path: string, places: readonly string[]): boolean {
  return places.some(place => (place.endsWith('/') ? path.startsWith(place) : path === place))
}

/** Lines `file: what is wrong`, for all files together: one run tells all that is wrong. */
function problems(
  find: (source: Source) => readonly (string | false)[],
  among: readonly Source[] = sources,
): string[] {
  return among.flatMap(source =>
    find(source)
      .filter(problem => problem !== false)
      .map(problem => `${source.path}: ${problem}`),
  )
}

describe('imports', () => {
  test('are found in all files, or this test would keep nothing; src/ needs nothing from elsewhere', () => {
    expect(sources.length).toBeGreaterThan(50)
    const targets = sources.flatMap(source =>
      source.imports.filter(isRelative).map(one => targetOf(source, one)),
    )
    expect(targets.length).toBeGreaterThan(200)
    expect(targets.filter(path => !byPath.has(path))).toEqual([])
  })

  test('go to lower layers and to the own folder only', () => {
    const found = problems(source =>
      source.imports.filter(isRelative).map(one => {
        const target = targetOf(source, one)
        if (folderOf(target) === folderOf(source.path)) return false
        return layerOf(target) >= layerOf(source.path) && `imports ${target}, which is not below it`
      }),
    )
    expect(found).toEqual([])
  })

  test('make no cycles', () => {
    // Type imports count as well. An import() does not: it is a call like any other, as where the table of commands
    // loads a command when it is asked for.
    const graphOf = (files: readonly Source[]) =>
      new Map(
        files.map(source => {
          const values = source.imports.filter(one => isRelative(one) && one.how !== 'call')
          return [source.path, values.map(one => targetOf(source, one))]
        }),
      )
    expect(findCycles(graphOf(sources))).toEqual([])
    expect(findCycles(graphOf(tools))).toEqual([])
  })

  test.each([
    ...ONLY_IN.map(rule => ['src', ...rule] as const),
    ...OF_TOOLS_ONLY_IN.map(rule => ['the tools', ...rule] as const),
  ])('of %s: %s is imported only in %j', (where, module, places) => {
    const found = problems(
      ({ path, imports }) => [
        imports.some(({ from }) => from === module) && !isIn(path, places) && `imports ${module}`,
      ],
      where === 'src' ? sources : tools,
    )
    expect(found).toEqual([])
  })

  test('name files with their ending, and none is an index of others', () => {
    const found = problems(
      ({ path, imports, code }) => [
        /(?:^|\/)index\.ts$/.test(path) && 'is an index',
        /^export\s+(?:type\s)?(?:\*|\{[^}]*\})\s+from\b/m.test(code) && 're-exports',
        ...imports.map(one => isRelative(one) && !/\.(ts|js|json)$/.test(one.from) && `imports ${one.from}`),
      ],
      all,
    )
    expect(found).toEqual([])
  })

  test('of protocol/ need nothing of Node: it is pure', () => {
    const found = problems(({ path, imports }) =>
      imports.map(
        ({ from }) => path.startsWith('protocol/') && from.startsWith('node:') && `imports ${from}`,
      ),
    )
    expect(found).toEqual([])
  })
})

describe('a relay without the messenger', () => {
  /** All that is loaded with a file; what an import() loads is loaded when it is called. */
  function loadedWith(path: string, loaded = new Set<string>()): Set<string> {
    const source = byPath.get(path)
    if (source === undefined || loaded.has(path)) return loaded
    loaded.add(path)
    for (const one of source.imports) {
      if (isRelative(one) && one.how === 'value') loadedWith(targetOf(source, one), loaded)
    }
    return loaded
  }

  test.each(['main.ts', 'cli/serve.ts', 'threads/relay.ts', 'threads/shard.ts'])(
    'loads none of it: %s',
    path => {
      expect([...loadedWith(path)].filter(loaded => loaded.startsWith('messenger/'))).toEqual([])
    },
  )

  test('would load it with these, or this test would keep nothing', () => {
    for (const path of ['threads/messenger.ts', 'threads/messenger-http.ts', 'threads/pool-worker.ts'])
      expect([...loadedWith(path)].filter(loaded => loaded.startsWith('messenger/')).length).toBeGreaterThan(
        5,
      )
  })
})

describe('imports of the tools', () => {
  const relativeOf = (source: Source) => source.imports.filter(isRelative).map(one => targetOf(source, one))

  test('are found in all files', () => {
    expect(tools.length).toBeGreaterThan(100)
    expect(tools.flatMap(relativeOf).filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })

  test('name no test, and load/ knows neither benches nor more of the relay than its base', () => {
    const places: Readonly<Record<string, readonly string[]>> = {
      load: ['load/', 'src/base/'],
      bench: ['bench/', 'load/', 'src/'],
      dashboards: ['dashboards/'],
    }
    const found = problems(
      source =>
        relativeOf(source).map(path => !isIn(path, places[folderOf(source.path)]!) && `imports ${path}`),
      tools,
    )
    expect(found).toEqual([])
  })

  test.each(Object.entries(LOAD_FOLDERS))('of load/%s go to %j and the contracts only', (folder, others) => {
    const places = [`${folder}/`, ...others, ...LOAD_CONTRACTS].map(place => `load/${place}`)
    const files = tools.filter(({ path }) => path.startsWith(`load/${folder}/`))
    expect(files.length).toBeGreaterThan(0)
    const found = problems(
      source => relativeOf(source).map(path => !isIn(path, [...places, 'src/base/']) && `imports ${path}`),
      files,
    )
    expect(found).toEqual([])
  })

  test('are ruled in each folder of load/', () => {
    const folders = new Set(
      tools
        .map(({ path }) => path.split('/'))
        .filter(parts => parts[0] === 'load' && parts.length > 2)
        .map(parts => parts[1]),
    )
    expect([...folders].sort()).toEqual(Object.keys(LOAD_FOLDERS).sort())
  })
})

describe('imports within the messenger', () => {
  const relativeOf = (source: Source) => source.imports.filter(isRelative).map(one => targetOf(source, one))

  test.each(Object.entries(MESSENGER_FOLDERS))('of %s go to %j and the contracts only', (folder, others) => {
    const places = [`${folder}/`, ...others, ...MESSENGER_CONTRACTS].map(place => `messenger/${place}`)
    const files = sources.filter(({ path }) => path.startsWith(`messenger/${folder}/`))
    expect(files.length).toBeGreaterThan(0)
    const found = problems(
      source =>
        relativeOf(source).map(
          path => path.startsWith('messenger/') && !isIn(path, places) && `imports ${path}`,
        ),
      files,
    )
    expect(found).toEqual([])
  })

  test('are ruled in each of its folders', () => {
    const folders = sources
      .map(({ path }) => path.split('/'))
      .filter(parts => parts[0] === 'messenger' && parts.length > 2)
      .map(parts => parts[1]!)
    expect([...new Set(folders)].sort()).toEqual(Object.keys(MESSENGER_FOLDERS).sort())
  })
})

/** One path for each group of files that reach each other. */
function findCycles(next: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, above: readonly string[]) => {
    const at = above.indexOf(path)
    if (at >= 0) cycles.push([...above.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const target of next.get(path) ?? []) visit(target, [...above, path])
    done.add(path)
  }
  for (const path of next.keys()) visit(path, [])
  return cycles
}

describe('places', () => {
  test('shared memory is touched in shared/ only', () => {
    const found = problems(({ path, code }) => [
      !path.startsWith('shared/') && /\bAtomics\b/.test(code) && 'uses Atomics',
      !path.startsWith('shared/') && /\bnew SharedArrayBuffer\b/.test(code) && 'makes a SharedArrayBuffer',
      // Threads pass the memory on, and may name its type for that.
      !isIn(path, ['shared/', 'threads/']) && /\bSharedArrayBuffer\b/.test(code) && 'names SharedArrayBuffer',
    ])
    expect(found).toEqual([])
  })

  test('the environment is read in config/load.ts only', () => {
    const found = problems(({ path, code }) => [
      path !== 'config/load.ts' &&
        /\bprocess\.env\b|\benv\b.*from 'node:process'/.test(code) &&
        'reads process.env',
    ])
    expect(found).toEqual([])
  })
})

describe('each file', () => {
  test('begins with a comment that says what it is', () => {
    // main.ts and whatever else is started directly may have a hashbang before it.
    const found = problems(
      ({ text }) => [!/^(?:#!.*\n)?\/\/ \S/.test(text) && 'begins without a comment'],
      all,
    )
    expect(found).toEqual([])
  })

  test(`has at most ${FILE_LINES_MAX} lines`, () => {
    const found = problems(({ text }) => {
      const lines = text.trimEnd().split('\n').length
      return [lines > FILE_LINES_MAX && `has ${lines} lines`]
    }, all)
    expect(found).toEqual([])
  })

  test('and what it exports has a name that says something', () => {
    const found = problems(({ path, code }) => {
      const exported = code.matchAll(
        /^export\s+(?:async\s+)?(?:abstract\s+)?(?:function\*?|class|const|let|type)\s+(\w+)/gm,
      )
      const names = [...exported].map(([, name]) => name!)
      return [
        path.split('/').some(part => EMPTY_WORDS.test(part)) && 'has an empty word in its path',
        ...names.map(name => EMPTY_WORDS_IN_NAMES.test(upperFirst(name)) && `exports ${name}`),
      ]
    }, all)
    expect(found).toEqual([])
  })

  test('extends nothing but Error', () => {
    const found = problems(
      ({ code }) =>
        [...code.matchAll(/\bclass\s+\w+(?:<[^{]*>)?\s+extends\s+(\w+)/g)].map(
          ([, parent]) => !parent!.endsWith('Error') && `extends ${parent}`,
        ),
      all,
    )
    expect(found).toEqual([])
  })
})

function upperFirst(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1)
}

describe('the whole project', () => {
  const texts = ['src', 'test', 'bench', 'load', 'dashboards']
    .flatMap(folder => listFiles(join(ROOT, folder)))
    .filter(path => /\.(ts|mjs|js|json|ya?ml|md)$/.test(path))
    .map(path => ({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }))
  // This file names what it forbids.
  const others = texts.filter(({ path }) => path !== join('test', 'tidy.test.ts'))

  const FORBIDDEN: readonly (readonly [what: string, pattern: RegExp])[] = [
    ['paths of one machine', /(?:^|[\s'"`(=:])\/(?:home|work|root|Users|mnt|opt)\/\w/m],
    ['silenced checks', /biome-ignore|@ts-ignore|@ts-nocheck|@ts-expect-error|eslint-disable/],
    [
      'tests that are left out or alone',
      /\b(?:it|test|describe|suite)(?:\.\w+)*\.(?:skip|only|todo|fixme)\b/,
    ],
    [
      'enums, namespaces and parameter properties',
      /^\s*(?:export\s+)?(?:const\s+)?(?:enum|namespace)\s+\w+\s*\{/m,
    ],
  ]

  test.each(FORBIDDEN)('has no %s', (_, pattern) => {
    const found = others.flatMap(({ path, text }) => {
      const match = pattern.exec(text)
      return match === null ? [] : [`${path}: ${match[0].trim()}`]
    })
    expect(found).toEqual([])
  })
})
