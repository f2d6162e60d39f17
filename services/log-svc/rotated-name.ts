// How rotated files are named: `console.log.000001`, and `console.log.000001.gz` once compressed. A rotated file keeps its number
// for good, and by name they sort by age. Pure.
const DIGITS = 6;
const ROTATED = /^(.+)\.(\d{6,})(\.gz)?$/;

export interface RotatedName {
  /** The file that was rotated. */
  readonly base: string;
  readonly number: number;
  readonly compressed: boolean;
}

/** `base` may be a whole path. */
export function rotatedName(base: string, number: number): string {
  return `${base}.${String(number).padStart(DIGITS, '0')}`;
}

/** Undefined: `name` is a file that is being written, or nobody's of ours. */
export function parseRotatedName(name: string): RotatedName | undefined {
  const [, base, digits, gz] = ROTATED.exec(name) ?? [];
  if (base === undefined || digits === undefined) return undefined;
  return { base, number: Number(digits), compressed: gz !== undefined };
}

/** What compression writes until it is whole: hidden, and nobody's after a crash. */
export function partName(name: string): string {
  return `.${name}.gz.part`;
}

export function isPartName(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.gz.part');
}
