// Which device nodes a container gets: `rules` of its mdev.json, lines of busybox's mdev.conf. Without that file it gets LXC's few. Pure.
import * as z from 'zod/mini';
import { devFolderProblem } from '../devices/dev-folder.ts';
import { type ReadRule, readDeviceRule, stepsOf } from '../devices/device-rule.ts';
import type { LxcEntry } from '../lxc-config/entry.ts';
import { deviceRules } from '../schema/device-rules.ts';
import { readDocument } from './document.ts';
import type { Problem } from './revision.ts';
import type { StateDocument } from './state-document.ts';

export const MDEV_FILE = 'mdev.json';

const mdevDocument = z.object({ rules: z.optional(deviceRules) });

/** Of all rules of a container: a device is held against them in a few milliseconds, whoever wrote them. */
const MAX_STEPS = 4096;

export interface DevicePlan {
  /** Those that can be read; undefined: no nodes are made for it. */
  readonly rules: readonly string[] | undefined;
  readonly warnings: readonly Problem[];
}

/** `entries`: of its LXC configuration. Warnings, as the container runs all the same: BAD_TYPE, BAD_VALUE, NOT_SUPPORTED. */
export function planDevices(name: string, state: StateDocument, entries: readonly LxcEntry[]): DevicePlan {
  const path = `${name}/${MDEV_FILE}`;
  if (state.objects.has(path)) {
    const message = 'is an object; only as an inline document it makes device nodes';
    return { rules: undefined, warnings: [{ path, code: 'BAD_TYPE', message }] };
  }
  const document = state.documents.get(path);
  if (document === undefined) return { rules: undefined, warnings: [] };
  const { value, problems } = readDocument(mdevDocument, document, path);
  const against = devFolderProblem(entries);
  if (against !== undefined) {
    const message = `makes no device nodes: '${name}' ${against}`;
    return { rules: undefined, warnings: [...problems, { path, code: 'NOT_SUPPORTED', message }] };
  }
  let steps = 0;
  const readNext = (line: string): ReadRule => {
    const { rule, complaint } = readDeviceRule(line);
    if (rule !== undefined) steps += stepsOf(rule);
    if (rule === undefined || steps <= MAX_STEPS) return { rule, complaint };
    return { rule: undefined, complaint: 'is too much, with the repetitions of all before it; it is left out' };
  };
  const read = (value.rules ?? []).map((line, index) => ({ line, index, ...readNext(line) }));
  const warnings = read.flatMap(({ complaint, index }) =>
    complaint === undefined ? [] : [{ path: `${path}.rules[${index}]`, code: 'NOT_SUPPORTED', message: complaint }],
  );
  const rules = read.flatMap(({ rule, line }) => (rule === undefined ? [] : [line]));
  return { rules, warnings: [...problems, ...warnings] };
}
