// The cookie that carries a login's token for pages of this very host. Runs on a shard; pure.
// Invariant: no script of a page can read it, no other site can cause it to be sent, and no other host can set it.

/** The prefix makes browsers refuse it from other hosts, other paths and plain HTTP (but of this machine). */
const NAME = '__Host-fanwire'
const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict'

/** Undefined: there is none. Of several the first counts, as the most specific one stands first (RFC 6265, 5.4). */
export function cookieToken(header: string): string | undefined {
  for (const part of header.split(';')) {
    const at = part.indexOf('=')
    if (at < 0 || part.slice(0, at).trim() !== NAME) continue
    const value = part.slice(at + 1).trim()
    return /^[\w-]{1,1024}$/.test(value) ? value : undefined
  }
  return undefined
}

export function loginCookie(token: string, lifetimeMs: number): string {
  return `${NAME}=${token}; Max-Age=${Math.floor(lifetimeMs / 1000)}; ${ATTRIBUTES}`
}

/** Makes the browser forget it. */
export function goneCookie(): string {
  return `${NAME}=; Max-Age=0; ${ATTRIBUTES}`
}
