/** Points that belong together. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** One diagram: y over x, both from zero on and linear, so that what grows in proportion is a straight line. */
export interface Panel {
  readonly title: string
  readonly xTitle: string
  readonly series: readonly Series[]
}

const width = 420
const height = 260
const margin = { left: 56, right: 16, top: 34, bottom: 44 }
const colours = ['#1b6ca8', '#c8553d', '#5b8c5a', '#7d5ba6']

/** An SVG document with the panels in two columns. Readable on a light and on a dark page. */
export function plot(panels: readonly Panel[]): string {
  const rows = Math.ceil(panels.length / 2)
  const drawn = panels.map(
    (panel, index) =>
      `<g transform="translate(${(index % 2) * width} ${Math.floor(index / 2) * height})">\n${drawPanel(panel)}\n</g>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * width} ${rows * height}" font-family="sans-serif" font-size="11">
<title>How memory and CPU time grow with entries and agents</title>
<rect width="100%" height="100%" fill="white"/>
${drawn.join('\n')}
</svg>
`
}

function drawPanel({ title, xTitle, series }: Panel): string {
  const all = series.flatMap(({ points }) => points)
  const [xStep, xMax] = scale(Math.max(...all.map(([x]) => x)))
  const [yStep, yMax] = scale(Math.max(...all.map(([, y]) => y)))
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }
  const px = (x: number) => (margin.left + (x / xMax) * inner.width).toFixed(1)
  const py = (y: number) => (margin.top + inner.height - (y / yMax) * inner.height).toFixed(1)
  const parts = [`<text x="${margin.left}" y="16" font-size="13">${escaped(title)}</text>`]
  for (let y = 0; y <= yMax + yStep / 2; y += yStep) {
    parts.push(`<line x1="${px(0)}" x2="${px(xMax)}" y1="${py(y)}" y2="${py(y)}" stroke="#ddd"/>`)
    parts.push(`<text x="${margin.left - 6}" y="${Number(py(y)) + 4}" text-anchor="end">${label(y)}</text>`)
  }
  for (let x = 0; x <= xMax + xStep / 2; x += xStep)
    parts.push(`<text x="${px(x)}" y="${height - 28}" text-anchor="middle">${label(x)}</text>`)
  parts.push(`<text x="${width / 2}" y="${height - 10}" text-anchor="middle">${escaped(xTitle)}</text>`)
  for (const [index, { name, points }] of series.entries()) {
    const colour = colours[index % colours.length]
    const path = points.map(([x, y]) => `${px(x)},${py(y)}`).join(' ')
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    for (const [x, y] of points) parts.push(`<circle cx="${px(x)}" cy="${py(y)}" r="3" fill="${colour}"/>`)
    parts.push(
      `<text x="${margin.left + 8}" y="${margin.top + 12 + index * 14}" fill="${colour}">${escaped(name)}</text>`,
    )
  }
  return parts.join('\n')
}

/** A round step that divides the axis into about five, and the axis's end. */
function scale(largest: number): [step: number, end: number] {
  if (!(largest > 0)) return [1, 1]
  const rough = largest / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find(factor => factor * power >= rough) ?? 10) * power
  return [step, Math.ceil(largest / step - 1e-9) * step]
}

function label(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(0)}k`
  return String(Number(value.toFixed(2)))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
