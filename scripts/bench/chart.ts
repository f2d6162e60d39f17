// Rows of the bench as one SVG file that needs nothing beside it: a bar for each figure, one for its baseline.
import { isGoalMet, type Row } from './row.ts';
import { figure } from './table.ts';

const WIDTH = 960;
const NAME_WIDTH = 380;
const BAR_WIDTH = 340;
const ROW_HEIGHT = 40;
const HEAD_HEIGHT = 48;

const STYLE =
  'text{font:13px sans-serif;fill:#222}.small{font-size:11px;fill:#666}.ours{fill:#3569a8}.missed{fill:#c0552b}.base{fill:#c9cdd2}';

export function renderChart(rows: readonly Row[], title: string): string {
  const height = HEAD_HEIGHT + rows.length * ROW_HEIGHT + 16;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="12" y="28" style="font-size:16px">${escaped(title)}</text>`,
    ...rows.flatMap((row, index) => renderRow(row, HEAD_HEIGHT + index * ROW_HEIGHT)),
    '</svg>',
    '',
  ].join('\n');
}

/** Each row has a scale of its own: the larger of the two bars is as long as there is room. */
function renderRow(row: Row, top: number): readonly string[] {
  const { name, value, unit, baseline, goal } = row;
  const full = Math.max(value, baseline?.value ?? 0) || 1;
  const bar = (kind: string, amount: number, y: number): string =>
    `<rect class="${kind}" x="${NAME_WIDTH}" y="${y}" width="${((amount / full) * BAR_WIDTH).toFixed(1)}" height="12"/>`;
  const label = (kind: string, words: string, y: number): string =>
    `<text class="${kind}" x="${NAME_WIDTH + BAR_WIDTH + 8}" y="${y}">${escaped(words)}</text>`;
  const goalWords = goal === undefined ? '' : `  goal ${goal}`;
  return [
    `<text x="12" y="${top + 16}">${escaped(name)}</text>`,
    bar(isGoalMet(row) === false ? 'missed' : 'ours', value, top + 4),
    label('', `${figure(value)} ${unit}${goalWords}`, top + 15),
    ...(baseline === undefined
      ? []
      : [
          bar('base', baseline.value, top + 18),
          label('small', `${figure(baseline.value)} ${unit}, ${baseline.name}`, top + 29),
        ]),
  ];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
