// A revision that breaks a rule is refused whole, before the kernel hears of it, and every mistake is named with its path.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { ask, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

// Documents of any shape, taken apart by hand.
// biome-ignore lint/suspicious/noExplicitAny: the whole point is to break what a schema would allow
type Json = any;

/** Rewrites the state JSON of revision 0. */
function changeState(storage: string, change: (state: Json) => void): void {
  const path = join(storage, 'trails/0/.pvr/json');
  const state = JSON.parse(readFileSync(path, 'utf8'));
  change(state);
  rmSync(path);
  writeFileSync(path, JSON.stringify(state));
}

/** The largest object is a squashfs: one byte more makes its hash wrong. */
function damageObject(storage: string): void {
  const objects = join(storage, 'objects');
  const names = readdirSync(objects).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const [largest = ''] = names.sort(
    (a, b) => readFileSync(join(objects, b)).length - readFileSync(join(objects, a)).length,
  );
  appendFileSync(join(objects, largest), 'x');
}

interface Case {
  readonly name: string;
  readonly spoil: (storage: string) => void;
  /** Each must be in the reasons of /health. */
  readonly named: readonly RegExp[];
}

const poolOf = (state: Json): Json => state['device.json'].network.pools.internal;
const CASES: readonly Case[] = [
  {
    name: 'a device.json with several mistakes',
    spoil: (storage) =>
      changeState(storage, (state) =>
        Object.assign(poolOf(state), { subnet: '10.0.5.7/24', gateway: 'x', nat: 'yes' }),
      ),
    named: [/device\.json\.network\.pools\.internal\.gateway/, /device\.json\.network\.pools\.internal\.nat/],
  },
  {
    name: 'a path with ..',
    spoil: (storage) => changeState(storage, (state) => Object.assign(state, { '../../etc/passwd': 'f'.repeat(64) })),
    named: [/\.\.\/\.\.\/etc\/passwd/],
  },
  { name: 'an object with a wrong hash', spoil: damageObject, named: [/root\.squashfs/, /sha256/] },
  {
    name: 'an unknown pool',
    spoil: (storage) =>
      changeState(storage, (state) =>
        Object.assign(state['net-client/run.json'], { network: { mode: 'pool', pool: 'does-not-exist' } }),
      ),
    named: [/references unknown pool 'does-not-exist', refusing to start/],
  },
  {
    name: 'a bridge name that a shell would run',
    spoil: (storage) => changeState(storage, (state) => Object.assign(poolOf(state), { bridge: 'br0; reboot' })),
    named: [/device\.json\.network\.pools\.internal\.bridge/, /br0; reboot/],
  },
];

/** What a monitor printed since it started; the first line must have come from `provoke`, so that silence means something. */
async function listen(tree: Tree, command: readonly string[], provoke: readonly string[]) {
  const child: ChildProcess = tree.spawnInside(command);
  let heard = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  await eventually(`${command.join(' ')} hears`, PATIENCE_MS, () => {
    if (heard === '') tree.inside(provoke);
    return heard !== '';
  });
  return {
    clear() {
      heard = '';
    },
    heard: () => heard,
    async stop() {
      const exited = once(child, 'exit');
      tree.sandbox.signal(child, 'SIGTERM');
      await exited;
    },
  };
}

describe('integration.refusals', () => {
  let tree: Tree | undefined;
  afterEach(async () => {
    await tree?.close();
    tree = undefined;
  });

  for (const { name, spoil, named } of CASES) {
    it(`refuses ${name} without touching the kernel`, async () => {
      const storage = packExample('01-basic');
      spoil(storage);
      const opened = await openTree(storage);
      tree = opened;
      const monitors = [
        await listen(opened, ['ip', 'monitor', 'all'], ['ip', 'link', 'add', 'probe0', 'type', 'dummy']),
        await listen(opened, ['nft', 'monitor'], ['nft', 'add', 'table', 'ip', 'probe']),
      ];
      for (const monitor of monitors) monitor.clear();
      opened.start();
      const health = await eventually('refused in /health', PATIENCE_MS, async () => {
        const answer = await ask(opened.socket, 'GET', '/health').catch(() => undefined);
        if (answer?.status !== 503) return undefined;
        const parsed = healthAnswer.parse(JSON.parse(answer.body));
        return parsed.reasons.some(({ code }) => code === 'REVISION_REFUSED') ? parsed : undefined;
      });
      const text = health.reasons.map(({ subject, message }) => `${subject} ${message}`).join('\n');
      for (const pattern of named) {
        assert.match(text, pattern);
        await eventually(`${pattern} in the log`, PATIENCE_MS, () =>
          pattern.test(opened.readLog('pantavisor/pantavisor.log')),
        );
      }
      for (const monitor of monitors) {
        assert.equal(monitor.heard(), '');
        await monitor.stop();
      }
      assert.doesNotMatch(opened.inside(['cat', '/proc/self/mounts']).stdout, /squashfs|overlay .*upperdir/);
    });
  }
});
