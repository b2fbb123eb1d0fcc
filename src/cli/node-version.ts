// Which Node runs the program. Main thread, before anything else is loaded.

/** From here on Node runs TypeScript without a flag; src/start.mjs has the same number for those below it. */
export const NODE_MIN = [22, 18] as const

/** What to tell whoever started us with a Node that is too old, or undefined when it is not. */
export function nodeVersionProblem(version: string): string | undefined {
  const [major, minor] = version.split('.').map(Number) as [number, number]
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return undefined
  return `needs Node ${NODE_MIN.join('.')} or newer, and this is ${version}: run "npm install", which brings the right one, and start it with "npm start"`
}
