#!/usr/bin/env node
// The entry that any Node can read: says what to do where Node is too old for TypeScript, else loads main.ts.
// Main thread. The same check as in cli/node-version.ts, which such a Node can't load.

// The database of the messenger is one of Node's own, tested here with the version that the project brings. All other
// warnings stay.
const { emitWarning } = process
process.emitWarning = (warning, ...rest) => {
  if (!String(warning).startsWith('SQLite is an experimental feature'))
    emitWarning.call(process, warning, ...rest)
}

const NODE_MIN = [22, 18]
const [major, minor] = process.versions.node.split('.').map(Number)

if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) {
  await import('./main.ts')
} else {
  process.stderr.write(
    `fanwire: needs Node ${NODE_MIN.join('.')} or newer, and this is ${process.versions.node}: run "npm install", which brings the right one, and start it with "npm start"\n`,
  )
  process.exitCode = 1
}
