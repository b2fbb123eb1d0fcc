// A real reverse proxy on loopback, with the configuration that is shipped: only names, ports, paths and the
// certificate are put in their places.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const DEPLOY = join(import.meta.dirname, '../../deploy')

export type Replacement = readonly [shipped: string, here: string]

export type RunningProxy = Readonly<{
  httpPort: number
  httpsPort: number
  websocketUrl: string
  /** What a client has to trust. */
  certificate: Buffer
  stop(): Promise<void>
}>

/** How one kind of proxy is checked and started. */
type Kind = Readonly<{
  file: string
  /** Where the shipped file has things that differ here. */
  places(at: Places): readonly Replacement[]
  check(file: string): readonly string[]
  run(file: string): readonly string[]
}>

type Places = Readonly<{ folder: string; httpPort: number; httpsPort: number; relayPort: number }>

export const nginx: Kind = {
  file: 'nginx.conf',
  places: ({ folder, httpPort, httpsPort, relayPort }) => [
    ['pid /run/nginx.pid;', `pid ${folder}/nginx.pid;`],
    ['error_log /var/log/nginx/error.log warn;', `error_log ${folder}/error.log warn;`],
    // More descriptors than a test may have.
    ['worker_rlimit_nofile 131072;', ''],
    ['worker_connections 65536;', 'worker_connections 256;'],
    ['http {', `http {\n${temporaryPaths(folder)}`],
    ['server_name chat.example.com;', 'server_name 127.0.0.1;'],
    ['listen 80;', `listen 127.0.0.1:${httpPort};`],
    ['listen 443 ssl', `listen 127.0.0.1:${httpsPort} ssl`],
    ['/etc/ssl/chat.pem', `${folder}/cert.pem`],
    ['/etc/ssl/chat.key', `${folder}/key.pem`],
    ['127.0.0.1:8000', `127.0.0.1:${relayPort}`],
  ],
  check: file => ['nginx', '-t', '-q', '-c', file],
  run: file => ['nginx', '-c', file, '-g', 'daemon off;'],
}

export const caddy: Kind = {
  file: 'Caddyfile',
  places: ({ folder, httpPort, httpsPort, relayPort }) => [
    ['admin off', `admin off\n\thttp_port ${httpPort}\n\thttps_port ${httpsPort}`],
    [
      'chat.example.com {',
      `https://127.0.0.1 {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/key.pem`,
    ],
    ['127.0.0.1:8000', `127.0.0.1:${relayPort}`],
  ],
  check: file => ['caddy', 'validate', '--adapter', 'caddyfile', '--config', file],
  run: file => ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
}

/** Why the tests with a program can't run, or undefined. */
export function missing(program: string): string | undefined {
  try {
    execFileSync('sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${program}`], { stdio: 'ignore' })
    return undefined
  } catch {
    return `${program} is not installed`
  }
}

/** @param changes to what is shipped, beyond its places; each must be found in it */
export async function startProxy(
  kind: Kind,
  relayPort: number,
  changes: readonly Replacement[] = [],
): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-proxy-'))
  makeCertificate(folder)
  const [httpPort, httpsPort] = await freePorts()
  const shipped = readFileSync(join(DEPLOY, kind.file), 'utf8')
  const replacements = [...kind.places({ folder, httpPort, httpsPort, relayPort }), ...changes]
  const file = join(folder, kind.file)
  writeFileSync(file, replacements.reduce(replaced, shipped))
  // Caddy keeps its state there; Debian has nginx where only root's PATH leads.
  const PATH = `${process.env.PATH}:/usr/sbin`
  const env = { ...process.env, PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  const [checker, ...checkArguments] = kind.check(file)
  execFileSync(checker!, checkArguments, { env, stdio: 'pipe' })
  const [program, ...runArguments] = kind.run(file)
  const child = spawn(program!, runArguments, { env, stdio: 'ignore' })
  const stop = async () => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await listening(httpsPort, child)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    httpPort,
    httpsPort,
    websocketUrl: `wss://127.0.0.1:${httpsPort}/connection/websocket`,
    certificate: readFileSync(join(folder, 'cert.pem')),
    stop,
  }
}

function replaced(text: string, [shipped, here]: Replacement): string {
  if (!text.includes(shipped)) throw new Error(`the shipped file has no ${JSON.stringify(shipped)}`)
  return text.replaceAll(shipped, () => here)
}

/** Debian's nginx has them where only root may write. */
function temporaryPaths(folder: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(name => `${name}_temp_path ${folder}/${name};`)
    .join('\n')
}

function makeCertificate(folder: string): void {
  const name = ['-subj', '/CN=fanwire test', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, ...files], { stdio: 'ignore' })
}

/** Two at once, so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  for (const server of servers) {
    server.close()
    await once(server, 'close')
  }
  return ports as [number, number]
}

const TRY_AGAIN_MS = 20

async function listening(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the proxy ended with ${child.exitCode}`)
    const isThere = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
    if (isThere) return
    await new Promise(resolve => setTimeout(resolve, TRY_AGAIN_MS))
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
