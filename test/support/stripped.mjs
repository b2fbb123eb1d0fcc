// Loaded first by each program and thread that a test starts: gives Node sources that quick-start.ts stripped of their
// types, in the folder that this module's address names. Any thread. JavaScript, so that it needs no stripping itself.
// Invariant: a source that isn't there is left to Node.

import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const folder = new URL(import.meta.url).searchParams.get('folder')

registerHooks({
  load(url, context, next) {
    if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
    try {
      const name = hash('sha1', readFileSync(new URL(url), 'utf8'))
      return { format: 'module', source: readFileSync(`${folder}/${name}`, 'utf8'), shortCircuit: true }
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
      return next(url, context)
    }
  },
})
