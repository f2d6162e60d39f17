// State JSONs in miniature for the tests of shared/revision.
import type { ParsedRevision, Problem, Revision } from '../../shared/revision/revision.ts';
import { parseState } from '../../shared/revision/validate.ts';

export const DIGEST = 'a'.repeat(64);
export const POOL = { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true };
export const LAB = { type: 'bridge', bridge: 'pvbr1', subnet: '10.0.6.0/24', gateway: '10.0.6.1' };
export const DEVICE = { network: { pools: { internal: POOL, lab: LAB } } };

type Keys = Readonly<Record<string, unknown>>;

/** The keys of one container: its run.json with `run` over a sound one, and its files. */
export function container(name: string, run: Keys = {}): Keys {
  return {
    [`${name}/run.json`]: {
      '#spec': 'service-manifest-run@1',
      name,
      type: 'lxc',
      config: 'lxc.container.conf',
      'root-volume': 'root.squashfs',
      ...run,
    },
    [`${name}/lxc.container.conf`]: DIGEST,
    [`${name}/root.squashfs`]: DIGEST,
  };
}

/** A state with two pools, and `keys` over it. */
export function state(...keys: readonly Keys[]): Keys {
  return Object.assign({ '#spec': 'pantavisor-service-system@1', 'device.json': DEVICE }, ...keys);
}

/** `files`: text of objects by path; others are empty. */
export function parse(document: unknown, files: Readonly<Record<string, string>> = {}): ParsedRevision {
  return parseState(document, (path) => files[path] ?? '');
}

export function revisionOf(document: unknown, files: Readonly<Record<string, string>> = {}): Revision {
  const parsed = parse(document, files);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.revision;
}

/** `path CODE` of each problem, in order; nothing when there is none. */
export function problems(document: unknown, files: Readonly<Record<string, string>> = {}): readonly string[] {
  const parsed = parse(document, files);
  return parsed.ok ? [] : parsed.problems.map(short);
}

export function warnings(document: unknown, files: Readonly<Record<string, string>> = {}): readonly string[] {
  const parsed = parse(document, files);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.warnings.map(short);
}

export function short({ path, code }: Problem): string {
  return `${path} ${code}`;
}
