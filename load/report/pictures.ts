// node load/report/pictures.ts RESULT.json [FOLDER]: the top of a run's report as pictures, light and dark, as they are
// shown in the README. Main thread. Chromium must be installed; CHROMIUM says where, if it is not found.

import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { readRuns } from '../compare/read.ts'
import { renderReport } from './page.ts'

const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const WIDTH = 1200
/** Where the picture ends: below the first plot. */
const LAST_SHOWN = '#latency-time'
const MARGIN_PX = 14

const [resultFile, folder = FOLDER] = process.argv.slice(2)
const executablePath = [process.env.CHROMIUM ?? '', ...PLACES].find(path => path !== '' && existsSync(path))

if (resultFile === undefined || executablePath === undefined) {
  const why = resultFile === undefined ? 'no result file is given' : 'Chromium is not found: set CHROMIUM'
  process.stderr.write(`${why}\nusage: node load/report/pictures.ts RESULT.json [FOLDER]\n`)
  process.exitCode = 2
} else {
  await takePictures(resultFile, folder, executablePath)
}

async function takePictures(file: string, into: string, browserPath: string): Promise<void> {
  const [run] = await readRuns(file)
  const temporary = await mkdtemp(join(tmpdir(), 'fanwire-pictures-'))
  // Its sandbox refuses to run for root, as in containers; what is shown is a page of our own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  const browser = await chromium.launch({ executablePath: browserPath, args })
  try {
    const page = join(temporary, 'report.html')
    await writeFile(page, await renderReport(run!))
    await mkdir(into, { recursive: true })
    for (const colorScheme of ['light', 'dark'] as const) {
      const path = join(into, `load-report-${colorScheme}.png`)
      await takePicture(browser, page, colorScheme, path)
      process.stdout.write(`${path}: ${Math.round((await stat(path)).size / 1024)} KiB\n`)
    }
  } finally {
    await browser.close()
    await rm(temporary, { recursive: true, force: true })
  }
}

async function takePicture(
  browser: Browser,
  file: string,
  colorScheme: 'light' | 'dark',
  path: string,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 }, colorScheme })
  await page.goto(pathToFileURL(file).href)
  const shown = await page.locator(LAST_SHOWN).boundingBox()
  const height = Math.ceil((shown?.y ?? 0) + (shown?.height ?? 0) + MARGIN_PX)
  await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width: WIDTH, height } })
  await page.close()
}
