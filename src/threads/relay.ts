// The relay as a whole: shared memory, shards, acceptor, internal port; start and stop. Main thread.

import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { createSecureContext } from 'node:tls'
import { checkTokenKeys } from '../auth/tokens.ts'
import { monotonicMs, wallMs } from '../base/clock.ts'
import { reasonOf, StartError } from '../base/errors.ts'
import { createLog, type Log } from '../base/log.ts'
import { openFilesMax } from '../base/open-files.ts'
import { readVersion } from '../base/version.ts'
import { SHARDS_MAX } from '../config/limits.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { findWarnings } from '../config/warnings.ts'
import {
  type AdminOperation,
  AdminRefusal,
  type InternalServer,
  startInternalServer,
} from '../http/internal.ts'
import { createExporter } from '../metrics/exporter.ts'
import { slotCount } from '../metrics/slots.ts'
import { rowOf } from '../shared/counters.ts'
import { Acceptor } from './acceptor.ts'
import { type DataDirectory, openDataDirectory } from './data-directory.ts'
import { type HistoryFolder, openHistoryFolder } from './history-folder.ts'
import { withFreePorts } from './ports.ts'
import { type Acceptance, Supervisor } from './supervisor.ts'
import { createTopology, type Topology } from './topology.ts'

export type Ports = Readonly<{ http: number; tcp: number; internal: number }>

export type Relay = Readonly<{
  ports: Ports
  stop: (reason: string) => Promise<void>
  /** The exit code, once all is down. */
  finished: Promise<number>
}>

export async function startRelay(loaded: LoadedConfig): Promise<Relay> {
  const log = createLog(loaded.config.log.level, 'main')
  for (const warning of findWarnings(loaded.config, loaded.profile)) log.warn({}, warning)
  checkTls(loaded.config.http_server.tls)
  checkTokenKeys(loaded.config.client)
  const config = await withFreePorts(loaded.config)
  const { history_path: historyPath } = config.shutdown
  const histories = historyPath === '' ? undefined : await openHistoryFolder(historyPath, log)
  const { messenger } = config
  const data = messenger.enabled ? await openDataDirectory(messenger.path, log) : undefined
  const fixed = {
    config,
    profile: loaded.profile,
    version: readVersion(),
    nodeId: randomUUID(),
    startedMs: wallMs(),
    shards: config.shards === 0 ? Math.min(availableParallelism(), SHARDS_MAX) : config.shards,
    connectionLimit: connectionLimitOf(config.client.connection_limit, log),
    hashKey: new Uint32Array(new Uint8Array(randomBytes(8)).buffer),
  }
  const topology = createTopology(fixed, data?.tokenKey)
  const { http_server: http } = config
  const acceptor = http.tls.enabled ? undefined : new Acceptor()
  const row = new Float64Array(slotCount)
  const supervisor = new Supervisor({ topology, acceptance: acceptor ?? NO_ACCEPTOR, row, log })
  let draining = false
  const isReady = () => !draining && supervisor.allAccepting && supervisor.isAlive(monotonicMs())
  const internal = await startAll(acceptor, supervisor, {
    startInternalPort: () => startInternal(topology, supervisor, row, isReady, log),
    listen: () => acceptor?.listen(http.address, http.port),
    histories,
    data,
    log,
  })
  const ports = {
    http: http.port,
    tcp: config.tcp.enabled ? config.tcp.port : 0,
    internal: internal.port,
  }
  log.info(
    { ...addressesOf(config, ports), shards: topology.shards, profile: loaded.profile },
    'relay is ready',
  )

  const finished = Promise.withResolvers<number>()
  async function stop(reason: string): Promise<void> {
    if (draining) return
    draining = true
    const { termination_timeout: timeoutMs, drain_time: drainMs } = config.shutdown
    log.info({ reason }, 'relay is stopping')
    const tooLate = setTimeout(() => {
      log.error({ timeoutMs }, 'threads did not end in time')
      // process.exit() would abort with a crash report: it can't end shards that hold sockets.
      process.kill(process.pid, 'SIGKILL')
    }, timeoutMs)
    acceptor?.stopAccepting()
    await supervisor.drain(Math.min(drainMs, timeoutMs / 2))
    await supervisor.quiet()
    // Its last publications go into the histories.
    await supervisor.messenger?.finish()
    if (histories !== undefined) await keep(histories, supervisor, log)
    await supervisor.close()
    acceptor?.close()
    await internal.close()
    histories?.release()
    data?.release()
    clearTimeout(tooLate)
    log.info({}, 'relay has stopped')
    finished.resolve(0)
  }
  return { ports, stop, finished: finished.promise }
}

/** Starts the internal port, then the shards. If one fails all goes down again: what is open would keep us alive. */
async function startAll(
  acceptor: Acceptor | undefined,
  supervisor: Supervisor,
  {
    startInternalPort,
    listen,
    histories,
    data,
    log,
  }: {
    startInternalPort: () => Promise<InternalServer>
    listen: () => void
    histories: HistoryFolder | undefined
    data: DataDirectory | undefined
    log: Log
  },
): Promise<InternalServer> {
  let internal: InternalServer | undefined
  try {
    internal = await startInternalPort()
    await supervisor.start(async () => {
      if (histories !== undefined) await takeOver(histories, supervisor, log)
      // Here the last thing that often fails has not: from now on the files of the last run are not needed any more.
      listen()
      await histories?.clear()
    })
    return internal
  } catch (error) {
    await supervisor.close()
    acceptor?.close()
    await internal?.close()
    histories?.release()
    data?.release()
    throw error
  }
}

/** Before any connection is accepted: what the last run kept goes to the shards. */
async function takeOver(histories: HistoryFolder, supervisor: Supervisor, log: Log): Promise<void> {
  const { path, files } = histories
  if (files.length === 0) return
  const startedMs = monotonicMs()
  const taken = await supervisor.takeOver(path, files)
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  log.info({ ...taken, bytes, tookMs: monotonicMs() - startedMs }, 'histories taken over')
}

/** When all shards are quiet. That it fails must not hold up the end. */
async function keep(histories: HistoryFolder, supervisor: Supervisor, log: Log): Promise<void> {
  const startedMs = monotonicMs()
  try {
    const files = await supervisor.keep(histories.path)
    histories.complete(files)
    const sums = { channels: 0, publications: 0, keys: 0, bytes: 0 }
    for (const file of files) {
      for (const count of ['channels', 'publications', 'keys', 'bytes'] as const) sums[count] += file[count]
    }
    log.info({ ...sums, tookMs: monotonicMs() - startedMs }, 'histories kept')
  } catch (error) {
    log.error({ err: error }, 'the histories could not be kept: all channels start new')
  }
}

/** Left for the program itself, the internal port and API requests when connections use up the open files. */
const RESERVED_FILES = 256
/** Below this the operator has most likely forgotten to raise the limit. */
const FEW_FILES = 4096

/**
 * Without a limit of the operator the open files are one: at the last of them a relay would neither refuse a client
 * with a reason nor answer a health check.
 */
function connectionLimitOf(configured: number, log: Log): number {
  const files = openFilesMax()
  if (files === undefined) return configured
  if (files < FEW_FILES)
    log.warn({ files }, 'few files may be open, and each connection is one: raise `ulimit -n`')
  const bearable = Math.max(1, files - Math.min(RESERVED_FILES, Math.trunc(files / 2)))
  return configured === 0 ? bearable : Math.min(configured, bearable)
}

/** With TLS the shards listen themselves. */
const NO_ACCEPTOR: Acceptance = { add: () => {}, remove: () => {} }

function addressesOf(config: Config, ports: Ports): object {
  const { http_server: http, tcp } = config
  const at = (address: string, port: number) => `${address.includes(':') ? `[${address}]` : address}:${port}`
  return {
    websocket: `${http.tls.enabled ? 'wss' : 'ws'}://${at(http.address, ports.http)}/connection/websocket`,
    api: `${http.tls.enabled ? 'https' : 'http'}://${at(http.address, ports.http)}/api/`,
    ...(tcp.enabled ? { tcp: at(tcp.address, ports.tcp) } : {}),
    internal: `http://${at(http.internal_address, ports.internal)}`,
  }
}

/** The WebSocket library only says that it failed, and says so on each shard. */
function checkTls({ enabled, cert_pem, key_pem }: Config['http_server']['tls']): void {
  if (!enabled) return
  try {
    createSecureContext({ cert: readFileSync(cert_pem), key: readFileSync(key_pem) })
  } catch (error) {
    throw new StartError(`http_server.tls, ${cert_pem} and ${key_pem}: ${reasonOf(error)}`)
  }
}

function startInternal(
  topology: Topology,
  supervisor: Supervisor,
  row: Float64Array,
  isReady: () => boolean,
  log: Log,
): Promise<InternalServer> {
  const { config, counters, messenger, version, startedMs } = topology
  const { scrape, contentType } = createExporter({
    memory: counters,
    otherRows: messenger === undefined ? [row] : [row, rowOf(messenger.counters, 0)],
    extraGauges: {
      tableUsed: () => {
        const { route, presence } = supervisor.tableUsed
        return [
          { labels: { table: 'route' }, value: route },
          { labels: { table: 'presence' }, value: presence },
        ]
      },
      tableCapacity: () => [
        { labels: { table: 'route' }, value: config.route_table.capacity },
        { labels: { table: 'presence' }, value: config.presence_table.capacity },
      ],
      shards: () => supervisor.liveCount,
      ready: () => Number(isReady()),
      clockSeconds: () => monotonicMs() / 1000,
      connectionLimit: () => topology.connectionLimit,
      historyLimitBytes: () => config.channel.history_memory_limit,
      messengerStorageLimitBytes: () => (messenger === undefined ? 0 : config.messenger.total_quota),
      uptimeSeconds: () => (wallMs() - startedMs) / 1000,
      buildInfo: () => [{ labels: { version, node: process.versions.node }, value: 1 }],
    },
  })
  return startInternalServer({
    address: config.http_server.internal_address,
    port: config.http_server.internal_port,
    prometheusEnabled: config.prometheus.enabled,
    scrape,
    scrapeContentType: contentType,
    status: () => {
      const nowMs = monotonicMs()
      const detail = { shards: supervisor.describe(), stuck: supervisor.stuck(nowMs) }
      const place = supervisor.messenger
      return {
        alive: supervisor.isAlive(nowMs),
        ready: isReady(),
        detail: place === undefined ? detail : { ...detail, messenger: place.describe() },
      }
    },
    admin: adminOf(topology, supervisor),
    adminKey: config.http_api.key,
    onError: error => log.error({ err: error }, 'an error in the internal server'),
  })
}

function adminOf(topology: Topology, supervisor: Supervisor): ReadonlyMap<string, AdminOperation> {
  return new Map<string, AdminOperation>([
    ['GET /admin/shards', async () => ({ shards: supervisor.describe() })],
    [
      'POST /admin/shards/:n/quarantine',
      async ({ params }) => {
        const shard = params.n!
        if (shard >= topology.shards) throw new AdminRefusal(404, `there is no shard ${shard}`)
        if (!supervisor.isLive(shard)) throw new AdminRefusal(409, `shard ${shard} is not live`)
        supervisor.tell(shard, { kind: 'fail' })
        return { shard }
      },
    ],
    [
      'POST /admin/messenger/quarantine',
      async () => {
        const { messenger } = supervisor
        if (messenger === undefined) throw new AdminRefusal(404, 'there is no messenger')
        if (!messenger.isLive) throw new AdminRefusal(409, 'the messenger is not live')
        messenger.tell({ kind: 'fail' })
        return {}
      },
    ],
  ])
}
