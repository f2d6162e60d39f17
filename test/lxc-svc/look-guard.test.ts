// Looks at files of containers after which no service came back.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createLookGuard, type LookGuard } from '../../services/lxc-svc/look-guard.ts';

const RUN = { pid: 4711, startTicks: 10 };

describe('lxc-svc.lookGuard', () => {
  let rundir: string;
  const open: LookGuard[] = [];
  const create = (): LookGuard => {
    const guard = createLookGuard({ rundir, storage: rundir, tree: 'test' });
    open.push(guard);
    return guard;
  };
  /** The service ends while it looks: what is said of the next one is said before that look comes to an end. */
  const dying = (guard: LookGuard, then: (next: LookGuard) => void, container = 'app', run = RUN): void =>
    guard.during(container, run, () => then(create()));

  beforeEach(() => {
    rundir = mkdtempSync(join(tmpdir(), 'look-guard-'));
    for (const container of ['app', 'web']) mkdirSync(join(rundir, 'lxc', container), { recursive: true });
  });
  afterEach(() => {
    for (const guard of open.splice(0)) guard.close();
    rmSync(rundir, { recursive: true });
  });

  it('leaves a run alone that two services in a row did not come back from, and only that one, for good', () => {
    dying(create(), (second) => {
      assert.ok(second.allows('app', RUN));
      dying(second, (third) => {
        for (const guard of [third, create()]) {
          assert.equal(guard.allows('app', RUN), false);
          assert.ok(guard.allows('web', RUN));
          assert.ok(guard.allows('app', { ...RUN, startTicks: 11 }));
        }
      });
    });
  });

  it('forgets one that was killed by chance, with the next look that ends', () => {
    dying(create(), (second) => {
      assert.throws(() => second.during('app', RUN, () => assert.fail('as files do')), /as files do/);
      assert.equal(readFileSync(join(rundir, 'lxc/.look'), 'utf8'), '');
      dying(second, (third) => assert.ok(third.allows('app', RUN)));
    });
  });

  it('counts neither other runs nor other containers together', () => {
    const both = (guard: LookGuard): void =>
      assert.deepEqual([guard.allows('app', RUN), guard.allows('web', RUN)], [true, true]);
    const another = { ...RUN, pid: 4712 };
    dying(create(), (second) => dying(second, (third) => dying(third, both, 'app', another), 'web'));
  });

  it('begins anew where nobody can read what was written', () => {
    writeFileSync(join(rundir, 'lxc/.look'), '{"container":"../x","pid":2}');
    assert.ok(create().allows('app', RUN));
  });
});
