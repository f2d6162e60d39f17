// A soak run as one SVG that needs nothing else: a small plot of each figure over the cycles, those that grow in red. Pure.
import type { Point } from './growth.ts';

export interface Plot {
  readonly name: string;
  readonly points: readonly Point[];
  readonly leaks: boolean;
  /** Below the name. */
  readonly note: string;
}

const COLUMNS = 4;
const CELL = { width: 260, height: 120 } as const;
const PAD = 10;
const HEAD = 34;
const TITLE = 30;

export function svgOf(title: string, plots: readonly Plot[]): string {
  const rows = Math.ceil(plots.length / COLUMNS);
  const [width, height] = [COLUMNS * CELL.width, TITLE + rows * CELL.height];
  const cells = plots.map((plot, index) => {
    const x = (index % COLUMNS) * CELL.width;
    const y = TITLE + Math.floor(index / COLUMNS) * CELL.height;
    return `<g transform="translate(${x} ${y})">${cellOf(plot)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${PAD}" y="20" font-size="14">${escaped(title)}</text>`,
    ...cells,
    '</svg>\n',
  ].join('\n');
}

function cellOf({ name, points, leaks, note }: Plot): string {
  const colour = leaks ? '#c00' : '#246';
  return [
    `<text x="${PAD}" y="14" font-weight="bold" fill="${colour}">${escaped(name)}</text>`,
    `<text x="${PAD}" y="28" fill="#555">${escaped(note)}</text>`,
    `<rect x="${PAD}" y="${HEAD}" width="${CELL.width - 2 * PAD}" height="${CELL.height - HEAD - PAD}" fill="#f4f6f8"/>`,
    `<polyline fill="none" stroke="${colour}" points="${lineOf(points)}"/>`,
  ].join('');
}

/** The scale begins at zero only where that is near: growth is to be seen, and a flat figure is a line in the middle. */
function lineOf(points: readonly Point[]): string {
  const [width, height] = [CELL.width - 2 * PAD, CELL.height - HEAD - PAD];
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const span = Math.max(most - least, Math.abs(most) * 0.05, 1);
  const middle = (most + least) / 2;
  const last = Math.max(1, points.at(-1)?.cycle ?? 1);
  return points
    .map(({ cycle, value }) => {
      const x = PAD + (cycle / last) * width;
      const y = HEAD + height / 2 - ((value - middle) / span) * (height - 8);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
