// Rows of the bench as text for a terminal.
import { isGoalMet, type MissingRow, type Row, ratioOf } from './row.ts';

/** Three digits that mean something. */
export function figure(value: number): string {
  return Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

export function renderRows(rows: readonly Row[], missing: readonly MissingRow[]): string {
  return columns([
    ['row', 'value', 'baseline', 'ratio', 'goal', ''],
    ...rows.map(lineOf),
    ...missing.map(({ name, missing: why }) => [name, 'not available', why]),
  ]);
}

function lineOf(row: Row): readonly string[] {
  const { name, value, unit, baseline, goal = '' } = row;
  const ratio = ratioOf(row);
  const met = isGoalMet(row);
  return [
    name,
    `${figure(value)} ${unit}`,
    baseline === undefined ? '' : `${figure(baseline.value)} ${unit} (${baseline.name})`,
    ratio === undefined ? '' : figure(ratio),
    goal,
    met === undefined ? '' : met ? 'met' : 'not met',
  ];
}

/** Padded to the widest of each column; a line's last cell is as long as it likes. */
export function columns(lines: readonly (readonly string[])[]): string {
  const count = Math.max(...lines.map((line) => line.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(0, ...lines.filter((line) => line.length > column + 1).map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
