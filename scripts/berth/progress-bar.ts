// A progress bar on a terminal, and nothing anywhere else.
import type { WriteStream } from 'node:tty';

export interface ProgressBar {
  /** `fraction`: 0–1 of the thing named. */
  update(name: string, fraction: number): void;
  /** Takes the bar away. */
  clear(): void;
}

const CELLS = 30;
const RETURN_AND_CLEAR = '\r\x1b[K';

/** `count`: how many things there are in all; the bar says which one it is at. */
export function createProgressBar(stream: WriteStream, count: number): ProgressBar {
  const seen = new Set<string>();
  let shown = '';
  return {
    update(name, fraction) {
      seen.add(name);
      if (!stream.isTTY) return;
      const line = barLine(name, fraction, seen.size, count);
      if (line === shown) return;
      shown = line;
      stream.write(`${RETURN_AND_CLEAR}${line.slice(0, widthOf(stream) - 1)}`);
    },
    clear() {
      if (shown !== '') stream.write(RETURN_AND_CLEAR);
      shown = '';
    },
  };
}

/** A pseudo-terminal that nobody gave a size says 0. */
function widthOf({ columns }: WriteStream): number {
  return columns > 1 ? columns : 80;
}

/** `[2/3] net-server  ███████░░░  70%` */
export function barLine(name: string, fraction: number, index: number, count: number): string {
  const whole = Math.min(1, Math.max(0, fraction));
  const full = Math.round(whole * CELLS);
  const percent = String(Math.floor(whole * 100)).padStart(3);
  return `[${index}/${count}] ${name}  ${'█'.repeat(full)}${'░'.repeat(CELLS - full)} ${percent}%`;
}
