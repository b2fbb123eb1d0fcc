// @ts-check
// The plots of the report, drawn in the reader's browser by uPlot from the data in the page.
// Invariant: what a plot says in words (legend, cursor) is the text of its table's cells, so both always agree.

/** @typedef {import('../plots.ts').Plot} Plot */
/** @typedef {import('../../model.ts').Phase} Phase */
/** @typedef {import('uplot')} Chart */

const { uPlot } = /** @type {{ uPlot: typeof import('uplot') }} */ (/** @type {unknown} */ (globalThis))

const LABEL_PX = 11
/** Above the plot, for the names of the phases. */
const STRIP_PX = 20
/** Left of the plot, for the values; and right of it, for half of the last percentile. */
const AXIS_PX = 68
const RIGHT_PX = 36
/** Of a label below the plot, a little more than it takes; and between two. */
const CHARACTER_PX = 6
const TICK_GAP_PX = 6
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'

/** @type {{ plots: readonly Plot[], phases: readonly Phase[] }} */
const data = JSON.parse(document.getElementById('data')?.textContent ?? '')

for (const plot of data.plots) show(plot)

/**
 * One plot with its legend, in the element that waits for it; drawn again when the colors change.
 * @param {Plot} plot
 */
function show(plot) {
  const place = /** @type {HTMLElement} */ (document.querySelector(`[data-plot="${plot.id}"]`))
  const legend = makeLegend(plot)
  let isLog = plot.scale === 'either'
  /** @type {Chart | undefined} */
  let chart

  place.replaceChildren()
  const draw = () => {
    const hidden = plot.lines.map((_, index) => chart?.series[index + 1]?.show === false)
    chart?.destroy()
    chart = new uPlot(
      optionsOf(plot, isLog, place, legend.update, hidden),
      /** @type {any} */ ([plot.xs, ...plot.lines.map(({ values }) => values)]),
      place,
    )
    place.dataset.drawn = ''
    legend.update(chart)
  }
  draw()

  legend.buttons.forEach((button, index) => {
    button.addEventListener('click', () => {
      const on = chart?.series[index + 1]?.show === false
      chart?.setSeries(index + 1, { show: on })
      button.setAttribute('aria-pressed', String(on))
    })
  })
  if (plot.scale === 'either') {
    const button = makeButton('scale', 'log scale', isLog)
    button.addEventListener('click', () => {
      isLog = !isLog
      button.setAttribute('aria-pressed', String(isLog))
      draw()
    })
    place.before(button)
  }
  place.before(legend.element)

  place.tabIndex = 0
  place.setAttribute('role', 'img')
  place.setAttribute(
    'aria-label',
    `${plot.title}: plot. Arrow keys move the cursor; the table below has all figures.`,
  )
  place.addEventListener('keydown', event => {
    if (chart !== undefined && moveCursor(chart, event.key)) event.preventDefault()
  })
  place.addEventListener('focus', () => legend.element.setAttribute('aria-live', 'polite'))
  place.addEventListener('blur', () => legend.element.removeAttribute('aria-live'))

  new ResizeObserver(() => chart?.setSize(sizeOf(place))).observe(place)
  for (const query of ['(prefers-color-scheme: dark)', 'print']) {
    matchMedia(query).addEventListener('change', draw)
  }
}

/**
 * @param {Plot} plot
 * @param {boolean} isLog
 * @param {HTMLElement} place
 * @param {(chart: Chart) => void} update
 * @param {readonly boolean[]} hidden
 * @returns {import('uplot').Options}
 */
function optionsOf(plot, isLog, place, update, hidden) {
  const color = colorsOf(place)
  const isTime = plot.x === 'time'
  const font = `${LABEL_PX}px ${FONT}`
  const axis = {
    stroke: color('--soft'),
    font,
    grid: { stroke: color('--grid'), width: 1 },
    ticks: { stroke: color('--grid'), width: 1, size: 4 },
  }
  return {
    ...sizeOf(place),
    padding: [isTime ? STRIP_PX : 8, isTime ? 12 : RIGHT_PX, 0, 0],
    legend: { show: false },
    cursor: {
      ...(isTime && { sync: { key: 'time', setSeries: false, scales: ['x', null] } }),
      drag: { x: isTime, y: false },
      points: { size: 7 },
    },
    scales: {
      x: isTime
        ? { time: false, range: (_, min, max) => [min === plot.xs[0] ? 0 : min, max] }
        : { time: false, distr: 3, range: (_, min, max) => [min, Math.max(max, min * 2)] },
      y: isLog
        ? { distr: 3, range: (_, min, max) => logRange(min, max) }
        : { range: (_, _min, max) => [0, (max || 1) * 1.08] },
    },
    series: [
      {},
      ...plot.lines.map(({ label, ink, dashed }, index) => ({
        label,
        show: hidden[index] !== true,
        stroke: color(`--${ink}`),
        width: dashed === true ? 1.25 : 2,
        ...(dashed === true && { dash: [5, 4] }),
        ...(plot.unit === 'bytes' || plot.unit === 'cores' ? { fill: color(`--${ink}-fill`) } : {}),
        points: { show: plot.xs.length < 3 },
      })),
    ],
    axes: [
      isTime
        ? { ...axis, size: 34, ...timeTicks(plot.xs.at(-1) ?? 0) }
        : {
            ...axis,
            size: 34,
            splits: (_, _axis, min, max) =>
              percentileSplits(min, max, place.clientWidth - AXIS_PX - RIGHT_PX),
            filter: (_, splits) => splits,
            values: (_, splits) => splits.map(percentileLabel),
          },
      {
        ...axis,
        size: AXIS_PX,
        values: (_, splits) => splits.map(value => tickLabel(value, plot.unit)),
        ...(plot.unit === 'bytes' && { incrs: powersOfTwo() }),
        ...(isLog && { splits: (_, _axis, min, max) => logSplits(min, max), filter: (_, splits) => splits }),
      },
    ],
    hooks: {
      drawClear: isTime ? [chart => shadePhases(chart, color)] : [],
      setCursor: [update],
    },
  }
}

/** @param {HTMLElement} place */
function sizeOf(place) {
  return { width: place.clientWidth, height: place.clientHeight }
}

/**
 * Colors are the style sheet's, so that light, dark and print are decided in one place.
 * @param {HTMLElement} place
 */
function colorsOf(place) {
  const style = getComputedStyle(place)
  return (/** @type {string} */ name) => style.getPropertyValue(name).trim()
}

/**
 * Each phase is a band with its name above the plot; measured ones are tinted.
 * @param {Chart} chart
 * @param {(name: string) => string} color
 */
function shadePhases(chart, color) {
  const { ctx } = chart
  const { left, top, width, height } = chart.bbox
  const ratio = uPlot.pxRatio
  ctx.save()
  ctx.font = `${LABEL_PX * ratio}px ${FONT}`
  ctx.textBaseline = 'middle'
  for (const { name, fromS, toS, measured } of data.phases) {
    const from = clamp(chart.valToPos(fromS, 'x', true), left, left + width)
    const to = clamp(chart.valToPos(toS, 'x', true), left, left + width)
    if (to - from < 1) continue
    ctx.fillStyle = color(measured ? '--band-measured' : '--band')
    ctx.fillRect(from, top - STRIP_PX * ratio, to - from, height + STRIP_PX * ratio)
    ctx.fillStyle = color('--edge')
    ctx.fillRect(from, top - STRIP_PX * ratio, ratio, height + STRIP_PX * ratio)
    if (ctx.measureText(name).width + 12 * ratio > to - from) continue
    ctx.fillStyle = color(measured ? '--ink' : '--soft')
    ctx.fillText(name, from + 6 * ratio, top - (STRIP_PX / 2) * ratio)
  }
  ctx.restore()
}

/**
 * Buttons that hide and show the lines, with the values at the cursor; away from it, the highest ones.
 * @param {Plot} plot
 */
function makeLegend(plot) {
  const rows = [...document.querySelectorAll(`[data-table="${plot.id}"] tbody tr`)]
  const highest = plot.lines.map(({ values }) => {
    let at = 0
    values.forEach((value, index) => {
      if ((value ?? -1) > (values[at] ?? -1)) at = index
    })
    return at
  })
  const element = document.createElement('div')
  element.className = 'legend'
  const where = document.createElement('span')
  where.className = 'where'
  element.append(where)
  const values = plot.lines.map(() => document.createElement('b'))
  const buttons = plot.lines.map(({ label, ink, dashed }, index) => {
    const button = makeButton(`line ${ink}${dashed === true ? ' dashed' : ''}`, label, true)
    button.append(/** @type {HTMLElement} */ (values[index]))
    element.append(button)
    return button
  })
  const cell = (/** @type {number} */ row, /** @type {number} */ column) =>
    rows[row]?.children[column]?.textContent ?? ''
  const update = (/** @type {Chart} */ { cursor: { idx } }) => {
    const at = idx ?? undefined
    const unit = plot.x === 'time' ? ' s' : ''
    setText(where, at === undefined ? 'highest' : `${cell(at, 0)}${unit}`)
    values.forEach((value, index) => {
      setText(value, cell(at ?? highest[index] ?? 0, index + 1))
    })
  }
  return { element, buttons, update }
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * @param {string} className
 * @param {string} label
 * @param {boolean} pressed
 */
function makeButton(className, label, pressed) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = className
  button.setAttribute('aria-pressed', String(pressed))
  button.append(label)
  return button
}

/**
 * @param {Chart} chart
 * @param {string} key
 * @returns {boolean} whether the key was one of ours
 */
function moveCursor(chart, key) {
  const last = chart.data[0].length - 1
  const at = chart.cursor.idx ?? -1
  /** @type {Record<string, number | undefined>} */
  const targets = { ArrowLeft: at < 0 ? last : at - 1, ArrowRight: at + 1, Home: 0, End: last }
  const target = targets[key]
  if (key === 'Escape') chart.setCursor({ left: -10, top: -10 })
  if (target === undefined) return key === 'Escape'
  const x = chart.data[0][clamp(target, 0, last)] ?? 0
  chart.setCursor({ left: chart.valToPos(x, 'x'), top: chart.over.clientHeight / 2 })
  return true
}

/**
 * From the next 1, 2 or 5 of a power of ten below to the next one above; anything when all lines are hidden.
 * @param {number | null} min
 * @param {number | null} max
 * @returns {[number, number]}
 */
function logRange(min, max) {
  if (min === null || max === null) return [1, 10]
  const low = stepsOf(min / 10, min).at(-1) ?? min
  const high = stepsOf(max, max * 10)[0] ?? max
  return low < high ? [low, high] : [low, low * 10]
}

/**
 * 1, 2, 5, 10, 20 … between two values, both included.
 * @param {number} min
 * @param {number} max
 */
function stepsOf(min, max) {
  const steps = []
  for (let decade = Math.floor(Math.log10(min)); 10 ** decade <= max; decade++) {
    for (const digit of [1, 2, 5]) {
      const step = Number((digit * 10 ** decade).toPrecision(3))
      if (step >= min && step <= max) steps.push(step)
    }
  }
  return steps
}

/**
 * @param {number} min
 * @param {number} max
 */
function logSplits(min, max) {
  const steps = stepsOf(min, max)
  return steps.length <= 8 ? steps : steps.filter(step => /^1(?:0*$|e)|^0\.0*1$/.test(String(step)))
}

/**
 * Round seconds, minutes or hours, whatever is read best in a run of that length.
 * @param {number} lastS
 */
function timeTicks(lastS) {
  const [unitS, name] = lastS < 600 ? [1, 's'] : lastS < 4 * 3600 ? [60, 'min'] : [3600, 'h']
  return {
    incrs: [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 100, 200, 500].map(step => step * unitS),
    values: (/** @type {Chart} */ _, /** @type {number[]} */ splits) =>
      splits.map(at => `${tick(at / unitS)} ${name}`),
  }
}

/** @returns {number[]} */
function powersOfTwo() {
  return Array.from({ length: 40 }, (_, power) => 2 ** power)
}

/**
 * The percentiles that people name, the rounder ones first; none closer to another than a label is wide.
 * @param {number} min
 * @param {number} max
 * @param {number} widthPx
 */
function percentileSplits(min, max, widthPx) {
  const perDecadePx = widthPx / Math.log10(max / min)
  /** @type {number[]} */
  const chosen = []
  for (const x of [10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 2, 1, 4, 20]) {
    const isFree = chosen.every(other => {
      const halvesPx = ((percentileLabel(x).length + percentileLabel(other).length) / 2) * CHARACTER_PX
      return Math.abs(Math.log10(x / other)) * perDecadePx > halvesPx + TICK_GAP_PX
    })
    if (x >= min && x <= max && isFree) chosen.push(x)
  }
  return chosen.sort((a, b) => a - b)
}

/** @param {number} x */
function percentileLabel(x) {
  return `${Number((100 * (1 - 1 / x)).toFixed(6))} %`
}

/**
 * @param {number} value
 * @param {Plot['unit']} unit
 */
function tickLabel(value, unit) {
  switch (unit) {
    case 'us':
      if (value === 0) return '0'
      if (value < 1e3) return `${tick(value)} µs`
      return value < 1e6 ? `${tick(value / 1e3)} ms` : `${tick(value / 1e6)} s`
    case 'bytes':
      return value >= 2 ** 30 ? `${tick(value / 2 ** 30)} GiB` : `${tick(value / 2 ** 20)} MiB`
    default:
      return value.toLocaleString('en-US')
  }
}

/** @param {number} value */
function tick(value) {
  return Number(value.toPrecision(4)).toLocaleString('en-US')
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high)
}
