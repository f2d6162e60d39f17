// Lays rows out as aligned columns. Pure.
import { printable } from './failure.ts';

export type Tone = 'good' | 'wait' | 'bad' | 'plain';

export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}

export interface Column<R> {
  readonly title: string;
  readonly cell: (row: R) => Cell | string;
  readonly align?: 'right';
  /** When lines are too long, columns go in the order of this number, lowest first; without one they stay. */
  readonly dispensable?: number;
}

export interface TableStyle {
  /** Columns of the terminal. */
  readonly width: number;
  readonly colour: boolean;
}

const GAP = '  ';
/** SGR codes (ECMA-48, 8.3.117). */
const COLOURS: Readonly<Record<Tone, string>> = { good: '32', wait: '33', bad: '31', plain: '' };

interface Laid<R> {
  readonly column: Column<R>;
  readonly cells: readonly Cell[];
  readonly width: number;
}

/** Ends with a newline. Values are never cut: what does not fit after all dispensable columns went is left to wrap. */
export function renderTable<R>(columns: readonly Column<R>[], rows: readonly R[], style: TableStyle): string {
  const laid = fit(
    columns.map((column) => lay(column, rows)),
    style.width,
  );
  const lines = [laid.map(({ column, width }) => pad(column.title, column.title, width, column.align))];
  for (const index of rows.keys()) {
    lines.push(
      laid.map(({ column, cells, width }) => {
        const cell = cells[index] ?? { text: '', tone: 'plain' };
        return pad(cell.text, paint(cell, style.colour), width, column.align);
      }),
    );
  }
  return lines.map((cells) => `${cells.join(GAP).trimEnd()}\n`).join('');
}

export function paint({ text, tone }: Cell, colour: boolean): string {
  return colour && COLOURS[tone] !== '' ? `\u001b[${COLOURS[tone]}m${text}\u001b[0m` : text;
}

function lay<R>(column: Column<R>, rows: readonly R[]): Laid<R> {
  const cells = rows.map((row) => {
    const cell = column.cell(row);
    const { text, tone } = typeof cell === 'string' ? { text: cell, tone: 'plain' as const } : cell;
    return { text: printable(text), tone };
  });
  return { column, cells, width: Math.max(column.title.length, ...cells.map(({ text }) => text.length)) };
}

function fit<R>(laid: readonly Laid<R>[], width: number): readonly Laid<R>[] {
  if (lineWidth(laid) <= width) return laid;
  const [next] = laid
    .filter(({ column }) => column.dispensable !== undefined)
    .sort((a, b) => (a.column.dispensable ?? 0) - (b.column.dispensable ?? 0));
  return next === undefined
    ? laid
    : fit(
        laid.filter((column) => column !== next),
        width,
      );
}

function lineWidth<R>(laid: readonly Laid<R>[]): number {
  return laid.reduce((sum, { width }) => sum + width, GAP.length * Math.max(0, laid.length - 1));
}

/** `shown` may hold colour codes that take no room; `text` is what counts. */
function pad(text: string, shown: string, width: number, align: 'right' | undefined): string {
  const blanks = ' '.repeat(width - text.length);
  return align === 'right' ? blanks + shown : shown + blanks;
}
