// The text of `npm run load -- --help`. Main thread.

import { flagGroups } from './flags.ts'
import type { Scenario } from './scenario.ts'

const FLAG_COLUMN = 30

const EXIT_CODES = `Exit codes
  0  clean                           3  the generator was the limit: latency is not valid
  1  lost, duplicated or reordered   4  the run could not be made
  2  wrong arguments                 130  interrupted`

export function helpText(scenarios: readonly Scenario[]): string {
  const groups = flagGroups.map(({ title, flags }) =>
    [
      title,
      ...flags.map(({ name, value, text }) =>
        `  --${name}${value === undefined ? '' : ` ${value}`} `.padEnd(FLAG_COLUMN).concat(text),
      ),
    ].join('\n'),
  )
  return `Load a relay and tell what came through, how fast, and at what cost.

  npm run load                                 the default run against a relay of its own, about 30 s
  npm run load -- --scenario rooms             another question
  npm run load -- --url ws://HOST:8000 --api http://HOST:8000/api
  npm run load -- compare A.json B.json        is B better than A, or is it noise?

Scenarios
${scenarios.map(lineOf).join('\n')}

${groups.join('\n\n')}

${EXIT_CODES}
`
}

function lineOf({ name, question, defaults }: Scenario): string {
  const { subscribers, channels, rate, durationS } = defaults
  const load = [
    `${subscribers} subscribers`,
    `${channels} channels`,
    ...(rate > 0 ? [`${rate}/s`] : []),
    `${durationS} s`,
  ]
  return `  ${name.padEnd(9)} ${question}\n${' '.repeat(12)}${load.join(', ')}`
}
