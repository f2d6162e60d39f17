// pvcontrol usrmeta, devmeta, config and conf against the real ctl-svc.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { usePvcontrol } from './program.ts';

describe('pvcontrol usrmeta, devmeta, config and conf', () => {
  const pv = usePvcontrol();
  const { run } = pv;

  it('saves, lists and deletes', async () => {
    for (const word of ['usrmeta', 'devmeta']) {
      assert.deepEqual(await run(word, 'save', 'a b.c', '{"x": 1}'), { exitCode: 0, stdout: '', stderr: '' });
      assert.deepEqual(await run(word, 'save', 'empty', ''), { exitCode: 0, stdout: '', stderr: '' });
    }
    assert.equal((await run('usrmeta', 'ls')).stdout, '{"a b.c":"{\\"x\\": 1}","empty":""}\n');
    assert.equal((await run('devmeta', 'ls')).stdout, '{"a b.c":{"x": 1},"empty":""}\n');
    assert.equal((await run('devmeta', 'ls', '--table')).stdout, 'KEY    VALUE\na b.c  {"x":1}\nempty\n');
    assert.equal((await run('usrmeta', 'delete', 'a b.c')).exitCode, 0);
    const gone = await run('--table', 'usrmeta', 'delete', 'a b.c');
    assert.deepEqual([gone.exitCode, gone.stderr], [255, "pvcontrol: Metadata key 'a b.c' not found\n"]);
    await run('usrmeta', 'delete', 'empty');
    assert.equal((await run('usrmeta', 'ls', '--table')).stdout, 'no metadata\n');
  });

  it('refuses a key that is a path', async () => {
    const { exitCode, stderr } = await run('--table', 'usrmeta', 'save', '../k', 'v');
    assert.equal(exitCode, 255);
    assert.match(stderr, /'\.\.\/k' is not valid: it has a "\/"/);
  });

  it('takes a value that starts with a dash after --', async () => {
    assert.equal((await run('usrmeta', 'save', '--', 'dash', '-v')).exitCode, 0);
    assert.equal(pv.rig.world.metadata.user.get('dash'), '-v');
  });

  it('saves numbers below zero, and words that look like its own', async () => {
    const values = [['-5'], ['-0.5'], ['--', '-7'], ['stdin:5']];
    for (const words of values) {
      assert.equal((await run('usrmeta', 'save', 'offset', ...words)).exitCode, 0);
      assert.equal(pv.rig.world.metadata.user.get('offset'), words.at(-1));
    }
    assert.equal((await run('usrmeta', 'save', '-12', 'under a number')).exitCode, 0);
    assert.equal(pv.rig.world.metadata.user.get('-12'), 'under a number');
  });

  it('shows the configuration, by the older names or with who set it', async () => {
    assert.equal(JSON.parse((await run('config', 'ls')).stdout)['log.level'], 2);
    const rows: unknown[] = JSON.parse((await run('conf', 'ls')).stdout);
    assert.deepEqual(
      rows.find((row) => JSON.stringify(row).includes('"PV_LOG_LEVEL"')),
      { key: 'PV_LOG_LEVEL', value: 'warn', modified: 'pv conf file' },
    );
    assert.match((await run('conf', 'ls', '--table')).stdout, /^PV_LOG_LEVEL +warn +pv conf file$/m);
    assert.match((await run('conf', 'ls', '--table')).stdout, /^PH_CREDS_ID +- +default$/m);
    assert.match((await run('config', 'ls', '--table')).stdout, /^creds\.id +-$/m);
  });

  const wrong: readonly (readonly [string[], RegExp])[] = [
    [['usrmeta'], /expected ls, save KEY \[VALUE\] or delete KEY/],
    [['usrmeta', 'put'], /not 'put'/],
    [['usrmeta', 'save'], /the KEY is missing/],
    [['usrmeta', 'save', ''], /the KEY is missing/],
    [['usrmeta', 'save', 'k', 'a', 'b'], /it got 'b' as well; put quotes/],
    [['devmeta', 'delete'], /the KEY is missing/],
    [['devmeta', 'delete', 'k', 'l'], /it got 'l' as well/],
    [['devmeta', 'ls', 'k'], /takes nothing more, it got 'k'/],
    [['conf'], /conf: expected ls/],
    [['config', 'get'], /config: expected ls, not 'get'/],
    [['conf', 'ls', 'k'], /takes nothing more, it got 'k'/],
  ];
  for (const [args, message] of wrong) {
    it(`refuses '${args.join(' ')}' and says what it wants`, async () => {
      const { exitCode, stderr } = await run(...args);
      assert.equal(exitCode, 1);
      assert.match(stderr, message);
    });
  }
});
