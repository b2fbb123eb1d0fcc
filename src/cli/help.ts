// `--help`: what one can say on the command line. Main thread.

const TEXT = `fanwire: a high-throughput relay for real-time messages

  fanwire [serve] [--config FILE] [flags]   run the relay
  fanwire check-config FILE [flags]         say whether it would start with this configuration
  fanwire print-config                      print all options with their defaults, as a file to begin with
  fanwire health [--config FILE] [flags]    ask the relay on this machine whether it does its work
  fanwire token --user U [--channel C] [--ttl SECONDS] [--config FILE] [flags]
                                            print a token for a user (7 days; --ttl -1: for ever), or for
                                            the user's subscription to a channel
  fanwire api-reference [openapi]           print the methods of the messenger, as Markdown or OpenAPI
  fanwire backup --to DIR [--config FILE] [flags]
                                            copy what the messenger keeps into a new directory, while it runs
  fanwire check-data DIR                    say whether a data directory, or a backup of one, is whole
  fanwire --version
  fanwire --help

Each option of the configuration is a flag (--client.ping_interval 10s) and an environment variable
(FANWIRE_CLIENT_PING_INTERVAL=10s); FANWIRE_CONFIG names the file, which is YAML or JSON. A flag goes
before the environment, that before the file, and the file before the default. With npm: npm start -- FLAGS

Without a configuration an open development profile runs, on loopback only.
Exit codes: 0 ended as asked, 1 could not start (a taken port, say) or is not healthy, 2 wrong
configuration or arguments, 130 and 143 ended at once by a second signal, 137 did not end in time.
`

export async function help(_argv: readonly string[], print: (text: string) => void): Promise<number> {
  print(TEXT)
  return 0
}
