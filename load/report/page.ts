// The report of a run as one HTML file that needs nothing else: style, script, data and uPlot are inside.
// Invariant: it asks for no other file, and its policy would stop it: only its own script and styles may be used.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { RunResult } from '../model.ts'
import { type Html, html, jsonForScript, trusted } from './html.ts'
import { plotsOf } from './plots.ts'
import {
  latencyTable,
  ledgerTable,
  masthead,
  phases,
  plotFigure,
  remarks,
  setting,
  threads,
  verdictBanner,
} from './sections.ts'
import { findings, tiles } from './tiles.ts'

const PAGE = join(import.meta.dirname, 'page')
const STYLES = ['colors.css', 'style.css', 'plots.css', 'tables.css'].map(name => join(PAGE, name))

export async function renderReport(result: RunResult): Promise<string> {
  const { styles, library, script, license } = await readAssets()
  const plots = plotsOf(result)
  const valid = result.verdict.latencyValid
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyOf([library, script], styles)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${result.scenario}: ${result.verdict.headline}</title>
<link rel="icon" href="data:,">
<style>${trusted(styles)}</style>
</head>
<body>
<main>
${masthead(result)}
${verdictBanner(result)}
${tiles(result)}
${findings(result)}
<section class="plots" aria-label="Plots">
${plots.map(plot => plotFigure(plot, result.phases, valid))}
</section>
<div class="cards">
${cards(result)}
</div>
</main>
<script type="application/json" id="data">${jsonForScript({ plots, phases: result.phases })}</script>
<!-- uPlot draws the plots.
${trusted(license)}-->
<script>${trusted(library)}</script>
<script type="module">${trusted(script)}</script>
</body>
</html>
`
  return page.markup
}

/** Two columns that fill by themselves, each section a card. */
function cards(result: RunResult): Html {
  return html`<div class="column">${latencyTable(result)}${threads(result)}${setting(result)}</div>
<div class="column">${ledgerTable(result)}${remarks(result)}${phases(result)}</div>`
}

/** What the page may do: run its two scripts and wear its styles. Nothing is ever asked for. */
function policyOf(scripts: readonly string[], styles: string): string {
  return [
    "default-src 'none'",
    `script-src ${scripts.map(hashOf).join(' ')}`,
    `style-src ${hashOf(styles)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

type Assets = Readonly<{ styles: string; library: string; script: string; license: string }>

/** All are the project's own or a pinned package's, so they are trusted. */
async function readAssets(): Promise<Assets> {
  // The package names its modules only; the build for pages and the license lie beside them.
  const uplot = join(createRequire(import.meta.url).resolve('uplot'), '..')
  const [uplotStyle, library, license, script, ...styles] = await Promise.all(
    [
      join(uplot, 'uPlot.min.css'),
      join(uplot, 'uPlot.iife.min.js'),
      join(uplot, '..', 'LICENSE'),
      join(PAGE, 'script.js'),
      ...STYLES,
    ].map(readText),
  )
  return {
    styles: [uplotStyle!, ...styles].join('\n'),
    library: library!,
    script: script!,
    license: license!,
  }
}

/** Browsers read a page with `\n` at line ends, and hash what they read. */
async function readText(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).replaceAll('\r\n', '\n')
}
