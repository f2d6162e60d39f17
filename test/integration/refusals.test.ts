// A revision that breaks a rule is refused whole, before the kernel hears of it, and every mistake is named with its path.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { ask, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { changeState, type JsonObject, objectAt } from '../kit/packed-state.ts';
import { quiet } from '../kit/quiet.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

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

const poolOf = (state: JsonObject): JsonObject => objectAt(state, 'device.json', 'network', 'pools', 'internal');
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
        Object.assign(objectAt(state, 'net-client/run.json'), { network: { mode: 'pool', pool: 'does-not-exist' } }),
      ),
    named: [/references unknown pool 'does-not-exist', refusing to start/],
  },
  {
    name: 'a bridge name that a shell would run',
    spoil: (storage) => changeState(storage, (state) => Object.assign(poolOf(state), { bridge: 'br0; reboot' })),
    named: [/device\.json\.network\.pools\.internal\.bridge/, /br0; reboot/],
  },
];

interface Monitor {
  readonly command: readonly string[];
  /** Changes something and takes it back, as often as needed until the monitor listens. */
  readonly provoke: string;
  /** Changes one more thing, once; `marked` is the end of what the monitor says of it. */
  readonly mark: string;
  readonly marked: RegExp;
}

const MONITORS: readonly Monitor[] = [
  {
    command: ['ip', 'monitor', 'link', 'address', 'route', 'rule', 'netconf'],
    provoke: 'ip link add probe0 type bridge; ip link delete probe0',
    mark: 'ip link add marker0 type bridge',
    marked: /marker0[^\n]*\n.*link\/ether[^\n]*\n/s,
  },
  {
    command: ['nft', 'monitor'],
    provoke: 'nft add table ip probe; nft delete table ip probe',
    mark: 'nft add table ip marker',
    marked: /marker.*generation[^\n]*\n/s,
  },
];

/** A monitor that is known to hear; what it hears after that. */
async function listen(tree: Tree, { command, provoke, mark, marked }: Monitor) {
  const child: ChildProcess = tree.spawnInside(command);
  let heard = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  await eventually(`${command.join(' ')} hears`, PATIENCE_MS, () => {
    if (heard === '') tree.inside(['sh', '-c', provoke]);
    return heard !== '';
  });
  tree.inside(['sh', '-c', mark]);
  await eventually(`${command.join(' ')} hears the mark`, PATIENCE_MS, () => marked.test(heard));
  heard = '';
  return {
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
      // What the sandbox itself was made of is told by now.
      await quiet((command) => {
        const { status, stdout, stderr } = opened.inside(command);
        assert.equal(status, 0, stderr);
        return stdout;
      });
      const monitors = [];
      for (const monitor of MONITORS) monitors.push(await listen(opened, monitor));
      opened.start();
      const health = await eventually('refused in /health', PATIENCE_MS, async () => {
        const answer = await ask(opened.socket, 'GET', '/health').catch(() => undefined);
        if (answer?.status !== 503) return undefined;
        const parsed = healthAnswer.parse(JSON.parse(answer.body));
        // After the last of its reboots, which must leave the kernel alone as well.
        const codes = parsed.reasons.map(({ code }) => code);
        return codes.includes('REVISION_REFUSED') && codes.includes('REBOOT_LOOP') ? parsed : undefined;
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
