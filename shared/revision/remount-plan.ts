// `remount` of device.json and run.json: policies by their names, each a list of places with options of mount(8). Pure.
//
// { "default": [ { "/": "nosuid" }, { "/media/.*": "noexec,nodev" } ] }
import * as z from 'zod/mini';
import type { LxcEntry } from '../lxc-config/entry.ts';
import { mountedPath, readPlaces } from '../lxc-config/remounts.ts';
import { MAX_REMOUNTS, type Remount, remount as remountSchema } from '../schema/remounts.ts';
import { readDocument } from './document.ts';
import type { Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

const remountDocument = z.record(z.string(), z.array(z.record(z.string(), z.string())));

/** What a mount that is mounted again says by being it. */
const SAID_ANYWAY = ['bind', 'remount', 'defaults', ''];
/** Of all expressions of one document: all lines of a container are held against them in a second at most, whoever wrote them. */
const MAX_STEPS = 128;

interface RemountPlan {
  readonly remounts: readonly Remount[];
  readonly warnings: readonly Problem[];
}

/** `entries`: of the container whose document it is. Warnings, as it runs all the same: BAD_TYPE, NOT_SUPPORTED. */
export function planRemounts(written: unknown, path: string, entries?: readonly LxcEntry[]): RemountPlan {
  if (written === undefined) return { remounts: [], warnings: [] };
  const { value, problems } = readDocument(remountDocument, written, path);
  const remounts: Remount[] = [];
  const warnings: Problem[] = [...problems];
  const mounted = new Set(['', ...(entries ?? []).flatMap((entry) => mountedPath(entry) ?? [])]);
  let steps = 0;
  const take = (policy: string, place: string, texts: readonly string[]): string | undefined => {
    const known = texts.filter((text) => !SAID_ANYWAY.includes(text));
    const options = known.flatMap((text) => remountSchema.shape.options.safeParse([text]).data ?? []);
    const read = remountSchema.safeParse({ policy, place, options });
    if (!read.success || remounts.length === MAX_REMOUNTS) return 'is too long, or there are too many before it';
    let places: ReturnType<typeof readPlaces>;
    try {
      places = readPlaces(place);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    steps += places.steps;
    if (steps > MAX_STEPS) return 'is too much, with all expressions before it';
    if (options.length > 0) remounts.push(read.data);
    const unknown = known.find((text) => !options.some((option) => option === text));
    if (unknown !== undefined) return `has ${shown(unknown)}, which is no option of a mount of its own`;
    const isNowhere = entries !== undefined && places.path !== undefined && !mounted.has(places.path);
    return isNowhere
      ? 'is no place where its LXC configuration mounts something; what LXC mounts itself stays'
      : undefined;
  };
  for (const [policy, rules] of Object.entries(value)) {
    for (const [place, options] of rules.flatMap((rule) => Object.entries(rule))) {
      const complaint = take(policy, place, options.split(','));
      if (complaint === undefined) continue;
      warnings.push({ path: `${path}.${policy}`, code: 'NOT_SUPPORTED', message: `${shown(place)} ${complaint}` });
    }
  }
  return { remounts, warnings };
}
