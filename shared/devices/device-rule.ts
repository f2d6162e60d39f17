// The rules by which a container gets its device nodes: lines of busybox's mdev.conf, `[-][NAME=regex;]…<what> <uid>:<gid> <mode>
// [=path | >path | !] [command]`, where <what> is a regex of the device's name, `@<major>,<minor>[-<minor>]` or `$NAME=regex`. In: lines.
// Out: which nodes they ask for of a device. Pure.
import { reasonOf } from '../kernel/system-error.ts';
import { type ExtendedRegex, parseExtendedRegex } from './extended-regex.ts';

/** A device of the kernel. */
export interface DeviceFacts {
  /** DEVNAME: with slashes, where it lies in folders (`input/event0`). */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  /** What the kernel tells of it: SUBSYSTEM, DEVPATH, DEVTYPE and so on. */
  readonly factOf: (name: string) => string | undefined;
}

export interface WantedNode {
  /** Below /dev. */
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** Below /dev: a link that leads to it. */
  readonly link: string | undefined;
}

type Match =
  | { readonly kind: 'name'; readonly regex: ExtendedRegex }
  | { readonly kind: 'value'; readonly of: string; readonly regex: ExtendedRegex }
  | { readonly kind: 'number'; readonly major: number; readonly from: number; readonly to: number }
  | { readonly kind: 'all' };

export interface DeviceRule {
  readonly conditions: readonly { readonly of: string; readonly regex: ExtendedRegex }[];
  readonly match: Match;
  /** Whether those behind it are asked, too. */
  readonly goesOn: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly placing: { readonly kind: 'here' | 'none' } | { readonly kind: 'moved' | 'linked'; readonly path: string };
}

export interface ReadRule {
  /** Undefined: a comment, or one that is left out. */
  readonly rule: DeviceRule | undefined;
  /** What of it does not hold here. */
  readonly complaint: string | undefined;
}

/** Of all that it matches with: a measure of what it costs for each device. */
export function stepsOf({ conditions, match }: DeviceRule): number {
  const regexes = [...conditions.map(({ regex }) => regex), ...('regex' in match ? [match.regex] : [])];
  return regexes.reduce((sum, { steps }) => sum + steps, 0);
}

/** What mdev does with devices that no rule names. */
const OTHERS: DeviceRule = {
  conditions: [],
  match: { kind: 'all' },
  goesOn: false,
  uid: 0,
  gid: 0,
  mode: 0o660,
  placing: { kind: 'here' },
};
/** uid_t and gid_t, whose last number says nobody. */
const MAX_ID = 0xffff_fffe;
const ENV_NAME = '[A-Za-z_][A-Za-z0-9_]*';

/** Never throws. */
export function readDeviceRule(line: string): ReadRule {
  const [what = '', owner, mode, ...rest] = line.trim().split(/[ \t]+/);
  if (what === '' || what.startsWith('#')) return { rule: undefined, complaint: undefined };
  try {
    if (owner === undefined || mode === undefined) throw new Error('is not "<name> <uid>:<gid> <mode>"');
    const goesOn = what.startsWith('-');
    const { conditions, left } = conditionsOf(goesOn ? what.slice(1) : what);
    const [first = ''] = rest;
    const isPlaced = /^[>=!]/.test(first);
    const command = (isPlaced ? rest.slice(1) : rest).join(' ');
    if (command !== '' && !/^[@$*]/.test(command)) throw new Error(`has '${command}' at its end, which means nothing`);
    return {
      rule: {
        conditions,
        match: matchOf(left),
        goesOn,
        ...ownerOf(owner),
        mode: modeOf(mode),
        placing: isPlaced ? placingOf(first) : { kind: 'here' },
      },
      complaint: command === '' ? undefined : `has the command '${command}', which is not run; its nodes are made`,
    };
  } catch (error) {
    return { rule: undefined, complaint: `${reasonOf(error)}; it is left out` };
  }
}

function conditionsOf(text: string): { readonly conditions: DeviceRule['conditions']; readonly left: string } {
  const written = new RegExp(`^(${ENV_NAME})=([^;]*);`).exec(text);
  if (written === null) return { conditions: [], left: text };
  const { conditions, left } = conditionsOf(text.slice(written[0].length));
  const [, of = '', regex = ''] = written;
  return { conditions: [{ of, regex: parseExtendedRegex(regex) }, ...conditions], left };
}

function matchOf(text: string): Match {
  if (text.startsWith('@')) {
    const [, major, from, to] = /^@(\d{1,7}),(\d{1,7})(?:-(\d{1,7}))?$/.exec(text) ?? [];
    if (major === undefined || from === undefined) throw new Error(`has ${text} for @<major>,<minor>[-<minor>]`);
    return { kind: 'number', major: Number(major), from: Number(from), to: Number(to ?? from) };
  }
  if (text.startsWith('$')) {
    const [, of, regex] = new RegExp(`^\\$(${ENV_NAME})=(.*)$`, 's').exec(text) ?? [];
    if (of === undefined || regex === undefined) throw new Error(`has ${text} for $<name>=<regex>`);
    return { kind: 'value', of, regex: parseExtendedRegex(regex) };
  }
  return { kind: 'name', regex: parseExtendedRegex(text) };
}

/** Names would be those of whoever reads them, and neither the host's nor the image's are meant; `root` is 0 everywhere. */
function ownerOf(text: string): { readonly uid: number; readonly gid: number } {
  const [uid = -1, gid = uid, ...more] = text.split(':').map((each) => {
    const id = each === 'root' ? 0 : /^\d{1,10}$/.test(each) ? Number(each) : -1;
    return id <= MAX_ID ? id : -1;
  });
  if (uid < 0 || gid < 0 || more.length > 0) throw new Error(`has the owner '${text}'; write numbers, <uid>:<gid>`);
  return { uid, gid };
}

function modeOf(text: string): number {
  if (!/^[0-7]{1,5}$/.test(text) || Number.parseInt(text, 8) > 0o7777) {
    throw new Error(`has the mode '${text}'; write it in octal digits`);
  }
  return Number.parseInt(text, 8);
}

function placingOf(text: string): DeviceRule['placing'] {
  if (text.startsWith('!')) return { kind: 'none' };
  const path = text.slice(1);
  if (path.startsWith('/') || path.split('/').includes('..') || path === '') {
    throw new Error(`has ${text}, which is no path below /dev`);
  }
  return { kind: text.startsWith('=') ? 'moved' : 'linked', path };
}

/** In the order in which they are written; those that no rule names are root's alone. */
export function nodesOf(rules: readonly DeviceRule[], device: DeviceFacts): readonly WantedNode[] {
  const nodes = new Map<string, WantedNode>();
  for (const rule of [...rules, OTHERS]) {
    const groups = groupsOf(rule, device);
    if (groups === undefined) continue;
    // It holds for all that are asked after it.
    if (rule.placing.kind === 'none') break;
    const node = nodeOf(rule, device.name, groups);
    if (node !== undefined) nodes.set(node.path, node);
    if (!rule.goesOn) break;
  }
  return [...nodes.values()];
}

/** What `%0` to `%9` of its path stand for; undefined: it does not match. */
function groupsOf({ conditions, match }: DeviceRule, device: DeviceFacts): readonly string[] | undefined {
  const isMet = ({ of, regex }: DeviceRule['conditions'][number]): boolean => {
    const value = device.factOf(of);
    return value !== undefined && regex.isIn(value);
  };
  if (!conditions.every(isMet)) return undefined;
  if (match.kind === 'all') return [];
  if (match.kind === 'name') return match.regex.whole(device.name);
  if (match.kind === 'value') {
    const value = device.factOf(match.of);
    return value === undefined ? undefined : match.regex.whole(value);
  }
  return device.major === match.major && device.minor >= match.from && device.minor <= match.to ? [] : undefined;
}

function nodeOf(rule: DeviceRule, name: string, groups: readonly string[]): WantedNode | undefined {
  const { uid, gid, mode, placing } = rule;
  const owned = { uid, gid, mode };
  if (!('path' in placing)) return isBelow(name) ? { path: name, ...owned, link: undefined } : undefined;
  const written = placing.path.replace(/%([0-9])/g, (_, number: string) => groups[Number(number)] ?? '');
  const path = written.endsWith('/') ? `${written}${name}` : written;
  if (!isBelow(path) || !isBelow(name)) return undefined;
  return { path, ...owned, link: placing.kind === 'linked' && path !== name ? name : undefined };
}

function isBelow(path: string): boolean {
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
