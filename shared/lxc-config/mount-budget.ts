// How much a container's mount entries may ask for: each part of a path is opened by itself before a start, so that no link is followed,
// and all other containers wait meanwhile. Pure.
import type { LxcEntry, LxcProblem } from './entry.ts';
import { fieldsOf } from './mount-entries.ts';

/** Of sources and targets of all lines together; a part takes some 25 µs where its folder has to be made, and a device four times as long. */
const MAX_PARTS = 10_000;

/** The line with which they are too many. */
export function mountProblems(entries: readonly LxcEntry[]): readonly LxcProblem[] {
  let parts = 0;
  for (const { key, value, line, source } of entries) {
    if (key !== 'lxc.mount.entry') continue;
    const fields = fieldsOf(value);
    parts += partsIn(fields.source) + partsIn(fields.target);
    // Layers of an overlay.
    for (const option of fields.options) if (option.includes('/')) parts += partsIn(option);
    if (parts <= MAX_PARTS) continue;
    const rule = `paths of all mounts of a container together have at most ${MAX_PARTS} parts`;
    return [{ line, source, reason: `${key}: one too many, as ${rule}; mount a folder that holds several of them` }];
  }
  return [];
}

function partsIn(path: string): number {
  return path.split('/').filter((part) => part !== '').length;
}
