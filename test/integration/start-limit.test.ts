// How many containers of a group are started at a time: LXC's own hook holds each start until the test lets it go, and notes it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { startLimit } from '../../services/state-svc/order.ts';
import { containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

/** More than the limit of two cores. */
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const FOLDER = 'starts';
/** lxc.container.conf(5): the first argument is the container's name. Opening a FIFO waits for who opens its other end. */
const HOOK = `#!/bin/sh
cd ${STORAGE_INSIDE}/${FOLDER}
echo "begun $1" >>log
: <"$1"
echo "over $1" >>log
`;

/** The first `count` processors that this process may use, as taskset(1) takes them. */
function processors(count: number): string {
  const allowed = /^Cpus_allowed_list:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const all = allowed.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return all.slice(0, count).join(',');
}

describe('integration.start-limit', () => {
  let tree: Tree | undefined;
  afterEach(() => tree?.close());

  for (const cores of [1, 2]) {
    const skip = availableParallelism() < cores ? `this machine has fewer than ${cores} processors` : false;
    it(`has ${startLimit(cores)} starts of a group under way on ${cores} of the machine’s processors, never more`, {
      skip,
    }, async () => {
      const held = hold(packed());
      tree = await openTree(held.storage);
      tree.start([], ['taskset', '-c', processors(cores)]);
      const { socket } = tree;
      for (const [index] of NAMES.entries()) {
        const wanted = Math.min(startLimit(cores), NAMES.length - index);
        const under = await eventually(`${wanted} under way`, PATIENCE_MS, () => {
          const names = held.underWay();
          return names.length >= wanted && names;
        });
        // Those that have no turn are not even mounted.
        const rows = await get(socket, '/containers', containerRows);
        const touched = rows.filter(({ status }) => status !== 'INSTALLED' && status !== 'STARTED');
        assert.ok(touched.length <= startLimit(cores), touched.map(({ name, status }) => `${name} ${status}`).join());
        await held.letGo(under[0] ?? '');
      }
      await tree.up();
      assert.equal(held.mostAtOnce(), startLimit(cores), held.log().join('\n'));
    });
  }
});

function packed(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-start-limit-'));
  const line = `lxc.hook.pre-start = ${STORAGE_INSIDE}/${FOLDER}/hook`;
  const spec = { args: { PV_LXC_EXTRA_CONF: ['lxc.signal.halt = SIGTERM', line] } };
  try {
    return packExample(writeSource(join(folder, 'source'), Object.fromEntries(NAMES.map((name) => [name, spec]))));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The hook and its FIFOs in a storage, and what it noted. */
function hold(storage: string) {
  const folder = join(storage, FOLDER);
  mkdirSync(folder);
  execFileSync(
    'mkfifo',
    NAMES.map((name) => join(folder, name)),
  );
  writeFileSync(join(folder, 'log'), '');
  writeFileSync(join(folder, 'hook'), HOOK);
  chmodSync(join(folder, 'hook'), 0o755);
  const log = (): readonly string[] => readFileSync(join(folder, 'log'), 'utf8').trim().split('\n').filter(Boolean);
  const namesOf = (what: string): readonly string[] =>
    log().flatMap((line) => (line.startsWith(`${what} `) ? [line.slice(what.length + 1)] : []));
  return {
    storage,
    log,
    underWay: () => namesOf('begun').filter((name) => !namesOf('over').includes(name)),
    mostAtOnce() {
      let now = 0;
      return Math.max(...log().map((line) => (now += line.startsWith('begun') ? 1 : -1)));
    },
    async letGo(name: string): Promise<void> {
      await eventually(`${name} is let go`, PATIENCE_MS, () => {
        try {
          // ENXIO while nobody reads: it is about to.
          closeSync(openSync(join(folder, name), constants.O_WRONLY | constants.O_NONBLOCK));
          return true;
        } catch {
          return false;
        }
      });
      await eventually(`${name} is over`, PATIENCE_MS, () => namesOf('over').includes(name));
    },
  };
}
