// What the servers of ours have in common: how they tell their port, and that they end with who started them.

export function printPort(port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`)
}

/** Standard input is a pipe from the parent: it ends when the parent does, however that ends. */
export function endWithParent(): void {
  process.stdin.on('end', () => process.exit()).resume()
}
