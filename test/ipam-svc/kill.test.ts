// SIGKILL at every point between the decision and the answer: nobody gets an address twice, and a retry gets what was written.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { afterEach, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { bundled } from '../kit/bundled.ts';
import { INTERNAL, withFolder } from './kit.ts';

const reply = z.object({
  id: z.int(),
  value: z.object({
    ok: z.boolean(),
    value: z.optional(
      z.object({ leases: z.optional(z.array(z.object({ address: z.string(), reused: z.boolean() }))) }),
    ),
  }),
});
type Reply = z.output<typeof reply>;

interface Mortal {
  /** Resolves with undefined when the process died before it answered. */
  call(kind: string, params: object): Promise<Reply['value'] | undefined>;
  /** Ends it politely, or learns how it died. */
  end(): Promise<NodeJS.Signals | null>;
}

const program = await bundled('test/ipam-svc/mortal-ipam.ts');
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function startMortal(folder: string, point: string, nth: number): Mortal {
  const child: ChildProcess = spawn(process.execPath, [program, folder, point, String(nth)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const { stdin, stdout } = child;
  assert.ok(stdin !== null && stdout !== null);
  // A write to a process that has just been killed fails; its calls learn that from `gone`.
  stdin.on('error', () => undefined);
  const waiting = new Map<number, (value: Reply['value'] | undefined) => void>();
  const gone = once(child, 'close').then(() => {
    for (const resolve of waiting.values()) resolve(undefined);
  });
  createInterface({ input: stdout }).on('line', (line) => {
    const { id, value } = reply.parse(JSON.parse(line));
    waiting.get(id)?.(value);
    waiting.delete(id);
  });
  let calls = 0;
  return {
    call(kind, params) {
      calls += 1;
      const id = calls;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        stdin.write(`${JSON.stringify({ id, kind, params })}\n`);
      });
    },
    async end() {
      stdin.end();
      await gone;
      return child.signalCode;
    },
  };
}

const wish = (container: string) => ({ container, interfaces: [{ interface: 'eth0', pool: 'internal' }] });
const leaseOf = (answer: Reply['value'] | undefined) => answer?.value?.leases?.[0];

describe('ipam-svc killed with SIGKILL', () => {
  // The first configure makes the file; the appends after it are one for `a` and one for `b`.
  for (const point of ['before-write', 'mid-write', 'written', 'synced']) {
    it(`at '${point}' gives no address twice, and the retry of the same key gets the one that was written`, () =>
      withFolder(async (folder) => {
        const doomed = startMortal(folder, point, 2);
        assert.ok((await doomed.call('configure', { pools: [INTERNAL], reservations: [] }))?.ok);
        assert.deepEqual(leaseOf(await doomed.call('allocate', wish('a'))), leaseOfNew('10.0.5.2'));
        assert.equal(await doomed.call('allocate', wish('b')), undefined);
        assert.equal(await doomed.end(), 'SIGKILL');

        const next = startMortal(folder, 'none', 0);
        // Somebody else comes first: the address that b was given, if it was, must not go to c.
        const c = leaseOf(await next.call('allocate', wish('c')));
        const b = leaseOf(await next.call('allocate', wish('b')));
        const a = leaseOf(await next.call('allocate', wish('a')));
        assert.equal(await next.end(), null);
        const stored = point === 'written' || point === 'synced';
        assert.deepEqual(b, stored ? { address: '10.0.5.3', reused: true } : leaseOfNew('10.0.5.4'));
        assert.deepEqual(c, leaseOfNew(stored ? '10.0.5.4' : '10.0.5.3'));
        assert.deepEqual(a, { address: '10.0.5.2', reused: true });
      }));
  }

  it('in the middle of 60 concurrent requests keeps all that was answered', () =>
    withFolder(async (folder) => {
      const answered = new Map<string, string>();
      const note = (names: readonly string[], answers: readonly (Reply['value'] | undefined)[]): void => {
        for (const [index, name] of names.entries()) {
          const address = leaseOf(answers[index])?.address;
          if (address === undefined) continue;
          assert.equal(answered.get(name) ?? address, address, name);
          answered.set(name, address);
        }
      };
      const all: string[] = [];
      for (const point of ['mid-write', 'synced', 'written']) {
        const doomed = startMortal(folder, point, 0);
        const ask = (names: readonly string[]) => Promise.all(names.map((name) => doomed.call('allocate', wish(name))));
        await doomed.call('configure', { pools: [INTERNAL], reservations: [] });
        const names = Array.from({ length: 60 }, (_, index) => `${point}-${index}`);
        all.push(...names);
        const first = names.slice(0, 20);
        note(first, await ask(first));
        await doomed.call('arm', {});
        note(names, await ask(names));
        assert.equal(await doomed.end(), 'SIGKILL');
        assert.ok(first.every((name) => answered.has(name)));
      }
      const next = startMortal(folder, 'none', 0);
      const final = new Map<string, string | undefined>();
      for (const name of all.reverse()) final.set(name, leaseOf(await next.call('allocate', wish(name)))?.address);
      await next.end();
      for (const [name, address] of answered) assert.equal(final.get(name), address, name);
      assert.equal(new Set(final.values()).size, all.length);
    }));
});

function leaseOfNew(address: string): { address: string; reused: boolean } {
  return { address, reused: false };
}
