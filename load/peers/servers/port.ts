// How a server of ours tells who started it its port: a line on standard output. Main thread of the server's process.

export function printPort(port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`)
}
