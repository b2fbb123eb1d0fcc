// The flags of `npm run load`: name, what stands behind it, and one line of help each. Main thread.
// Invariant: the help and the parser know the same flags, since both read this table.

export type Flag = Readonly<{
  name: string
  /** What stands behind it, as the help shows it; absent: nothing does. */
  value?: string
  text: string
}>

export type FlagGroup = Readonly<{ title: string; flags: readonly Flag[] }>

export const flagGroups: readonly FlagGroup[] = [
  {
    title: 'The load (defaults are the scenario’s)',
    flags: [
      { name: 'scenario', value: 'NAME', text: 'which question to ask, see above; default fanout' },
      { name: 'subscribers', value: 'N', text: 'connections that subscribe' },
      { name: 'channels', value: 'N', text: 'channels that they subscribe to' },
      { name: 'rate', value: 'N', text: 'publications a second over all channels' },
      { name: 'size', value: 'BYTES', text: 'bytes of a publication’s data, as JSON text' },
      { name: 'duration', value: 'TIME', text: 'of the measured phase: 20, 20s, 5m or 1h' },
      { name: 'transport', value: 'ws|tcp|mixed', text: 'how subscribers connect' },
      { name: 'publish', value: 'api|client', text: 'who publishes: the HTTP API, or clients' },
      { name: 'publishers', value: 'N', text: 'connections that publish; each has its own channels' },
      { name: 'receivers', value: 'N', text: 'worker threads that receive' },
      {
        name: 'sources',
        value: 'LIST',
        text: 'local addresses to connect from: 127.0.0.2-127.0.0.9,10.0.0.5',
      },
      { name: 'seed', value: 'N', text: 'all random choices come from it' },
      { name: 'smoke', text: 'so small that it ends in a few seconds; the figures mean nothing' },
    ],
  },
  {
    title: 'The own relay (what is loaded when no address is given)',
    flags: [{ name: 'shards', value: 'N', text: 'its threads; default one a core' }],
  },
  {
    title: 'A deployed relay',
    flags: [
      { name: 'url', value: 'URL', text: 'ws://host:8000, with a path if it is not /connection/websocket' },
      { name: 'tcp', value: 'HOST:PORT', text: 'for TCP subscribers' },
      { name: 'api', value: 'URL', text: 'http://host:8000/api, to publish by' },
      {
        name: 'api-key',
        value: 'KEY',
        text: 'better by FANWIRE_LOAD_API_KEY: other users of this machine see arguments',
      },
      {
        name: 'token',
        value: 'TOKEN',
        text: 'connection token of all clients; better by FANWIRE_LOAD_TOKEN',
      },
      { name: 'prefix', value: 'TEXT', text: 'what the names of channels begin with, for instance `chat:`' },
      { name: 'metrics', value: 'URL', text: 'its Prometheus page, for its CPU, memory and shards' },
    ],
  },
  {
    title: 'What comes out',
    flags: [
      { name: 'json', text: 'the result as JSON on standard output, all else on standard error' },
      { name: 'out', value: 'DIR', text: 'where results are written; default load/results' },
      { name: 'no-report', text: 'writes no HTML' },
      { name: 'quiet', text: 'no progress' },
    ],
  },
  {
    title: 'More than one run',
    flags: [
      { name: 'repeat', value: 'N', text: 'runs, one after another, in one file; at least 5 to compare' },
      {
        name: 'find-knee',
        text: 'raises the load until a run is not clean, and tells the highest clean point',
      },
      { name: 'knee-by', value: 'rate|subscribers', text: 'what is raised; default rate' },
      {
        name: 'knee-p99',
        value: 'MS',
        text: 'clean is also: p99 of all recipients not above this; default 100',
      },
      {
        name: 'against',
        value: 'REF',
        text: 'another git revision’s relay and this one’s in turns, 5 runs each',
      },
    ],
  },
  { title: 'Else', flags: [{ name: 'help', text: 'this text' }] },
]

export const flags: readonly Flag[] = flagGroups.flatMap(group => group.flags)
