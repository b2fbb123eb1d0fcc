// The report page: what it says, and what a real browser makes of it where one is installed.

import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RunResult } from '../../load/model.ts'
import { renderReport } from '../../load/report/page.ts'
import { POINTS_MAX, plotsOf, thin } from '../../load/report/plots.ts'
import { sampleResult } from './sample-results.ts'

const CHROMIUM = [process.env.CHROMIUM ?? '', '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
  path => path !== '' && existsSync(path),
)
const HOSTILE = '</script><script>window.hurt = 1</script><img src="x" onerror="window.hurt = 2">\u2028\'"&'

/** Hostile wherever a run takes text from outside. */
function hostileResult(): RunResult {
  const result = sampleResult({ verdict: { headline: HOSTILE, remarks: [HOSTILE], faults: [HOSTILE] } })
  return {
    ...result,
    scenario: HOSTILE,
    question: HOSTILE,
    startedAt: HOSTILE,
    command: HOSTILE,
    load: { ...result.load, sources: [HOSTILE] },
    target: { kind: 'deployed', name: HOSTILE, version: HOSTILE, url: HOSTILE, revision: HOSTILE },
    machine: { ...result.machine, cpu: HOSTILE, system: HOSTILE, node: HOSTILE },
    generator: {
      ...result.generator,
      threads: result.generator.threads.map(thread => ({ ...thread, name: HOSTILE })),
    },
    phases: result.phases.map(phase => ({ ...phase, name: HOSTILE })),
    series: result.series.map(row => ({ ...row, phase: HOSTILE })),
    findings: result.findings.map(finding => ({ ...finding, label: HOSTILE, note: HOSTILE })),
  }
}

/** Without styles and scripts. */
function bodyOf(page: string): string {
  return page.slice(page.indexOf('<main>'), page.indexOf('<script '))
}

const INVALID = sampleResult({
  verdict: { exitCode: 3, latencyValid: false, generatorLimits: ['receiver 0 was busy 97 % of the time'] },
})

describe('the text of the page', () => {
  test('holds the verdict, the ledger and the table twins of all plots', async () => {
    const page = await renderReport(sampleResult({ lost: 12 }))
    expect(page).toContain('LOST 12 of 1,203,400 deliveries.')
    expect(page).toContain('exit code <b>1</b>')
    expect(page).toContain('1,203,388')
    expect(page.match(/<table data-table=/g)).toHaveLength(5)
    expect(bodyOf(page)).not.toMatch(/NaN|undefined|\[object/)
  })

  test('leaves no foreign text unescaped', async () => {
    const page = await renderReport(hostileResult())
    expect(page).not.toContain('<script>window')
    expect(page).not.toContain('<img')
    expect(page.match(/<script[ >]/g)).toHaveLength(3)
  })

  test('strikes the latency figures when they are not valid, and nothing when they are', async () => {
    expect(await renderReport(INVALID)).toContain('<strong>NOT VALID</strong>')
    expect(await renderReport(sampleResult())).not.toMatch(/NOT VALID|class="[^"]*\binvalid\b/)
  })

  test('of a run that delivered nothing has dashes for latencies and leaves their plots out', async () => {
    const { latency, ...silent } = sampleResult()
    const none = { ...latency.all, count: 0, p50Us: 0, p99Us: 0, maxUs: 0, distribution: [] }
    const series = silent.series.map(row => ({
      ...row,
      ...{ publishesPerSecond: 0, deliveriesPerSecond: 0, p50Us: 0, p99Us: 0, maxUs: 0 },
    }))
    const result = { ...silent, series, latency: { all: none, first: none, last: none } }
    expect(plotsOf(result).map(({ id }) => id)).toEqual(['cores', 'memory'])
    expect(bodyOf(await renderReport(result))).toContain('<dt>p99.9</dt><dd>–</dd>')
  })

  test('says of an interrupted run that it is one', async () => {
    expect(await renderReport({ ...sampleResult(), interrupted: true })).toContain('Interrupted: this is')
  })

  test('does without what could not be seen', async () => {
    const { server, ...unseen } = sampleResult()
    expect(server).toBeDefined()
    const series = unseen.series.map(({ serverCores, serverBytes, ...row }) => row)
    expect(plotsOf({ ...unseen, series }).map(plot => plot.lines.length)).toEqual([3, 3, 2, 1, 1])
    expect(plotsOf({ ...unseen, series: [] }).map(({ id }) => id)).toEqual(['latency-percentile'])
    const page = await renderReport({ ...unseen, series: [], phases: [], findings: [] })
    expect(page).toContain('its process could not be seen')
    expect(bodyOf(page)).not.toMatch(/NaN|undefined/)
  })
})

describe('a long run', () => {
  const { series } = sampleResult({ seconds: 20_000 })

  test('is thinned to a bounded number of points that keep the peaks', () => {
    const rows = thin(series, POINTS_MAX)
    expect(rows.length).toBeLessThanOrEqual(POINTS_MAX)
    expect(rows.length).toBeGreaterThan(POINTS_MAX / 4)
    const highest = (of: readonly { maxUs: number }[]) => Math.max(...of.map(({ maxUs }) => maxUs))
    expect(highest(rows)).toBe(highest(series))
    expect(rows.at(-1)!.atS).toBe(series.at(-1)!.atS)
    expect([...new Set(rows.map(({ phase }) => phase))]).toEqual(['connect', 'warm-up', 'measure', 'drain'])
  })

  test('with more phases than points stays bounded too', () => {
    const restless = series.slice(0, 2000).map((row, index) => ({ ...row, phase: `phase ${index}` }))
    expect(thin(restless, POINTS_MAX)).toHaveLength(POINTS_MAX)
  })
})

describe.skipIf(CHROMIUM === undefined)('in Chromium (skipped where it is not installed)', () => {
  let browser: Browser
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fanwire-report-'))
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
  })

  afterAll(async () => {
    await browser?.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Shows a result; what the page complained about or asked for is in `odd`. */
  async function open(
    result: RunResult,
    { width = 1280, colorScheme = 'light' as 'light' | 'dark', javaScriptEnabled = true } = {},
  ): Promise<Readonly<{ page: Page; odd: string[] }>> {
    const file = join(folder, `${crypto.randomUUID()}.html`)
    await writeFile(file, await renderReport(result))
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme, javaScriptEnabled })
    const odd: string[] = []
    page.on('console', message => odd.push(`${message.type()}: ${message.text()}`))
    page.on('pageerror', error => odd.push(String(error)))
    page.on('request', request => {
      if (request.url() !== `file://${file}` && !request.url().startsWith('data:')) odd.push(request.url())
    })
    await page.goto(`file://${file}`, { waitUntil: 'load' })
    return { page, odd }
  }

  /** Of each canvas, how many different colors it has: one that nothing was drawn on has one. */
  function colorsOfCanvases(page: Page): Promise<number[]> {
    return page.evaluate<number[]>(`[...document.querySelectorAll('canvas')].map(canvas => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      return new Set(new Uint32Array(data.buffer)).size
    })`)
  }

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'draws all plots in %s at %i px, without a complaint, a request or a sideways scroll',
    async (colorScheme, width) => {
      for (const result of [sampleResult(), INVALID]) {
        const { page, odd } = await open(result, { colorScheme, width })
        const colors = await colorsOfCanvases(page)
        expect(colors).toHaveLength(5)
        for (const count of colors) expect(count).toBeGreaterThan(10)
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
        expect(odd).toEqual([])
        await page.close()
      }
    },
  )

  test.each([
    [1280, 99.9999],
    [360, 99.999],
  ])('cuts off no label below the percentiles at %i px', async (width, last) => {
    const result = sampleResult()
    const { all } = result.latency
    // A percentile that has a name, and place for it, is at the very edge.
    const distribution = [...all.distribution.filter(([at]) => at < 99.9), [last, all.maxUs] as const]
    const latency = { ...result.latency, all: { ...all, distribution } }
    const { page } = await open({ ...result, latency }, { width })
    const colorsAtEdge = await page.evaluate(`(() => {
      const canvas = document.querySelector('#latency-percentile canvas')
      const { data } = canvas.getContext('2d').getImageData(canvas.width - 1, 0, 1, canvas.height)
      return new Set(new Uint32Array(data.buffer)).size
    })()`)
    expect(colorsAtEdge).toBe(1)
    await page.close()
  })

  test('has other colors in the dark, in the page and in the plots, also when it gets dark later', async () => {
    const { page } = await open(sampleResult())
    const look = async () => [
      await page.evaluate('getComputedStyle(document.body).backgroundColor'),
      await page.evaluate("document.querySelector('canvas').toDataURL()"),
    ]
    const light = await look()
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(async () => (await look())[1]).not.toBe(light[1])
    expect((await look())[0]).not.toBe(light[0])
    await page.emulateMedia({ colorScheme: 'light' })
    await expect.poll(look).toEqual(light)
    await page.close()
  })

  test('shows hostile text as text', async () => {
    const { page, odd } = await open(hostileResult(), { width: 360 })
    expect(await page.evaluate('window.hurt')).toBeUndefined()
    expect(await page.locator('h1').textContent()).toBe(HOSTILE)
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    expect(odd).toEqual([])
    await page.close()
  })

  test('stops scripts that are not its own', async () => {
    const { page, odd } = await open(sampleResult())
    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'window.hurt = 1'
      document.body.append(script)
      fetch('http://127.0.0.1:9/').catch(() => {})
    }`)
    await expect
      .poll(() => odd.filter(line => line.includes('Content Security Policy')).length)
      .toBeGreaterThan(1)
    expect(await page.evaluate('window.hurt')).toBeUndefined()
    await page.close()
  })

  test('is used with the keyboard: cursor, lines, scale and tables', async () => {
    const result = sampleResult()
    const { page, odd } = await open(result)
    const figure = page.locator('#latency-time')
    const firstCell = await figure.locator('tbody tr').nth(2).locator('td').nth(0).textContent()
    const where = figure.locator('.where')
    expect(await where.textContent()).toBe('highest')
    await figure.locator('.canvas').focus()
    await page.keyboard.press('Home')
    for (let step = 0; step < 2; step++) await page.keyboard.press('ArrowRight')
    await expect.poll(() => where.textContent()).toBe('3.0 s')
    expect(await figure.locator('.legend b').first().textContent()).toBe(firstCell)
    await page.keyboard.press('Escape')
    await expect.poll(() => where.textContent()).toBe('highest')

    const before = await page.evaluate("document.querySelector('#latency-time canvas').toDataURL()")
    const picture = () => page.evaluate("document.querySelector('#latency-time canvas').toDataURL()")
    await figure.getByRole('button', { name: 'max' }).press('Enter')
    await expect.poll(picture).not.toBe(before)
    const withoutMax = await picture()
    await figure.getByRole('button', { name: 'log scale' }).press('Enter')
    await expect.poll(picture).not.toBe(withoutMax)
    expect(await figure.getByRole('button', { name: 'max' }).getAttribute('aria-pressed')).toBe('false')

    for (const name of ['p50', 'p99']) await figure.getByRole('button', { name }).press('Enter')
    await figure.getByRole('button', { name: 'log scale' }).press('Enter')
    await figure.getByRole('button', { name: 'p99' }).press('Enter')
    expect(await figure.getByRole('button', { name: 'p99' }).getAttribute('aria-pressed')).toBe('true')

    await figure.locator('summary').press('Enter')
    await expect.poll(() => figure.locator('table').isVisible()).toBe(true)
    expect(odd).toEqual([])
    await page.close()
  })

  test('moves nothing while it loads', async () => {
    const { page } = await open(sampleResult())
    const shift = await page.evaluate(`new Promise(resolve => {
      let sum = 0
      new PerformanceObserver(list => { for (const entry of list.getEntries()) sum += entry.value })
        .observe({ type: 'layout-shift', buffered: true })
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)))
    })`)
    expect(shift).toBeLessThan(0.01)
    await page.close()
  })

  test('without scripts says so and still has the tables', async () => {
    const { page } = await open(sampleResult(), { javaScriptEnabled: false })
    await expect.poll(() => page.locator('#rates').getByText('Drawn by a script').isVisible()).toBe(true)
    await page.locator('#rates summary').click()
    expect(await page.locator('#rates table').isVisible()).toBe(true)
    await page.close()
  })

  /** Contrast as WCAG 2 has it, of every text with a color of its own on the ground behind it. */
  const CONTRASTS = `(() => {
    const parse = color => {
      const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number)
      return color.startsWith('color(') ? [r * 255, g * 255, b * 255, a] : [r, g, b, a]
    }
    const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1)
    const groundOf = element => {
      const grounds = []
      for (let at = element; at; at = at.parentElement) grounds.push(parse(getComputedStyle(at).backgroundColor))
      return grounds.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1])
    }
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
      .map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
    const found = []
    for (const element of document.querySelectorAll('main *')) {
      const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('')
      if (text === '') continue
      const [a, b] = [light(groundOf(element)), light(over(parse(getComputedStyle(element).color), groundOf(element)))]
      found.push({ text, ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) })
    }
    return found
  })()`

  test.each(['light', 'dark'] as const)('keeps a contrast of 4.5:1 in %s', async colorScheme => {
    const faulty = sampleResult({ lost: 12, verdict: { latencyValid: false } })
    for (const result of [sampleResult(), INVALID, faulty]) {
      const { page } = await open(result, { colorScheme })
      const found = await page.evaluate<{ text: string; ratio: number }[]>(CONTRASTS)
      expect(found.length).toBeGreaterThan(100)
      expect(found.filter(({ ratio }) => ratio < 4.5)).toEqual([])
      await page.close()
    }
  })
})
