// What is allowed but seldom meant: lines for the log at start. Main thread; pure.

import { isLoopback } from './checks.ts'
import { DEVELOPMENT_WARNING, type Profile } from './profile.ts'
import type { Config } from './schema.ts'

export function findWarnings(config: Config, profile: Profile): string[] {
  if (profile === 'development') return [DEVELOPMENT_WARNING]
  const { client, http_api: api, http_server: http, messenger, tcp } = config
  const isOpen = !isLoopback(http.address) || (tcp.enabled && !isLoopback(tcp.address))
  const { hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint } = client.token
  const hasKey = [hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint].some(
    key => key !== '',
  )
  const warnings: string[] = []
  if (client.insecure && isOpen) {
    warnings.push(
      'client.insecure on an address beyond this machine: whoever reaches it may do everything in all channels',
    )
  }
  if (api.insecure && !isLoopback(http.address)) {
    warnings.push(
      'http_api.insecure on an address beyond this machine: whoever reaches it may call the HTTP API',
    )
  }
  if (!isLoopback(http.internal_address) && api.key === '') {
    warnings.push(
      'http_server.internal_address is beyond this machine and http_api.key is not set: whoever reaches it may have shards replaced',
    )
  }
  const isEntered = hasKey || client.insecure || client.allow_anonymous_connect_without_token
  if (!isEntered && !messenger.enabled) {
    warnings.push(
      'no client can connect: there is no key in client.token, and client.allow_anonymous_connect_without_token is false',
    )
  }
  return warnings
}
