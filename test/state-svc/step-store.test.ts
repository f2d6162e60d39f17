// Revisions as folders, beside remains that cannot be removed.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ProgressStage, progressAt } from '../../services/state-svc/step-progress.ts';
import { openStepStore, type StepStore } from '../../services/state-svc/step-store.ts';
import { lostRevision } from '../../services/state-svc/unnamed-revision.ts';
import { mount } from '../../shared/kernel/mount.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

/** Goes with the namespace, and with it what is mounted. */
function open(): { readonly locals: string; readonly steps: StepStore; readonly warnings: readonly string[] } {
  const storage = mkdtempSync('/run/steps-');
  const locals = join(storage, 'trails/locals');
  mkdirSync(locals, { recursive: true });
  const warnings: string[] = [];
  const steps = openStepStore(storage, { ...silentLogger, warn: (message) => void warnings.push(message) });
  return { locals, steps, warnings };
}

/** A revision with a folder that cannot be removed. */
function makeStuck(folder: string): void {
  mkdirSync(join(folder, '.pvr'), { recursive: true });
  writeFileSync(join(folder, '.pvr/json'), '{}');
  mkdirSync(join(folder, '.pv'));
  mount('stuck', join(folder, '.pv'), 'tmpfs', 0);
}

describe('how far revisions have come', () => {
  it('tells which one was found good last, whatever the clock was set to', async () => {
    const { locals, steps } = open();
    const put = (name: string) => steps.put(`locals/${name}`, '{}', new Map());
    for (const name of ['a', 'b', 'c']) await put(name);
    const reach = (name: string, stage: ProgressStage) => steps.setProgress(`locals/${name}`, progressAt(stage));
    const told = async (name: string) => (await steps.toldMs(`locals/${name}`)) ?? 0;
    await reach('a', 'done');
    // By a clock that was ahead.
    const ahead = Date.now() / 1000 + 1e8;
    utimesSync(join(locals, 'a/.pv/progress'), ahead, ahead);
    await reach('b', 'updated');
    assert.ok((await told('b')) > (await told('a')));
    await reach('a', 'done');
    assert.ok((await told('a')) > (await told('b')));
    await reach('c', 'rolledBack');
    assert.ok((await told('c')) < Date.now() + 1000);
    const lost = await lostRevision(join(locals, '../..'), steps);
    assert.deepEqual(lost, { revision: 'locals/a', assumedBeside: ['locals/b'] });
  });
});

describe('revisions beside remains that cannot be removed', () => {
  it('come back when they were to be replaced, and what stays is told', async () => {
    const { locals, steps, warnings } = open();
    makeStuck(join(locals, '.a.making'));
    mkdirSync(join(locals, '.b.replaced/.pvr'), { recursive: true });
    writeFileSync(join(locals, '.b.replaced/.pvr/json'), '{}');
    // The first is what a damaged file kept there when the second had to make way.
    for (const [at, name] of ['.c.replaced', '.c.replaced.1', '.d.making.1'].entries()) {
      mkdirSync(join(locals, name, '.pvr'), { recursive: true });
      writeFileSync(join(locals, name, '.pvr/json'), `{"at":${at}}`);
    }
    await steps.open();
    assert.deepEqual(await steps.list(), ['locals/b', 'locals/c']);
    assert.equal(await steps.stateText('locals/c'), '{"at":1}');
    assert.deepEqual(readdirSync(locals).sort(), ['.a.making', 'b', 'c']);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /\.a\.making.*EBUSY/);
  });

  it('are put there', async () => {
    const { locals, steps, warnings } = open();
    makeStuck(join(locals, 'a'));
    await assert.rejects(steps.remove('locals/a'), { code: 'EBUSY' });
    assert.equal(await steps.put('locals/b', '{"b": 1}', new Map()), true);
    assert.equal(await steps.stateText('locals/b'), '{"b": 1}');
    assert.match(warnings.join('\n'), /\.a\.making.*EBUSY/);
  });

  it('are replaced, whose remains they are', async () => {
    const { locals, steps } = open();
    makeStuck(join(locals, 'a'));
    assert.equal(await steps.put('locals/a', '{"a": 2}', new Map()), true);
    assert.equal(await steps.stateText('locals/a'), '{"a": 2}');
    assert.ok(existsSync(join(locals, '.a.replaced')));
    assert.deepEqual(readdirSync(locals).sort(), ['.a.replaced', 'a']);
  });
});
