// pvcontrol shell on a real tree: programs in a container, with their words, input and end as they are.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { NODE_INSIDE, PROGRAM_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

describe('pvcontrol shell', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());
  const pvcontrol = (): string[] => [NODE_INSIDE, join(PROGRAM_INSIDE, 'pvcontrol.js'), '-s', tree.socket];

  it('runs a command with all of its words, and ends as it does', () => {
    const script = 'echo "$1|$2|$3|$PATH|$OUTSIDE|$TERM"; hostname; exit 7';
    const words = ['shell', 'net-client', 'sh', '-c', script, 'sh', '-f', '', '--json'];
    const ran = tree.inside(['env', 'OUTSIDE=yes', 'TERM=vt100', ...pvcontrol(), ...words]);
    const [said, host] = ran.stdout.split('\n');
    assert.match(said ?? '', /^-f\|\|--json\|[^|]*\/bin[^|]*\|\|vt100$/);
    assert.deepEqual([host, ran.status, ran.stderr], ['net-client', 7, '']);
  });

  it('is a shell without a command, which reads what it is given', () => {
    const given = `echo 'echo here is $(hostname)' | "$@"`;
    const ran = tree.inside(['sh', '-c', given, 'sh', ...pvcontrol(), 'shell', 'net-server']);
    assert.deepEqual([ran.stdout, ran.status], ['here is net-server\n', 0]);
  });

  it('has the terminal that it is started on', () => {
    const command = [...pvcontrol(), 'shell', 'net-client', 'sh', '-c', '"test -t 0 && stty size"'].join(' ');
    const ran = tree.inside(['script', '-qefc', `stty cols 77 rows 33; exec ${command}`, '/dev/null']);
    assert.deepEqual([ran.stdout.trim(), ran.status], ['33 77', 0]);
  });

  it('says which containers there are, and of a stopped one how it is started', async () => {
    assert.match(tree.inside([...pvcontrol(), '--table', 'shell', 'nobody']).stderr, /'nobody'\. There are: net-/);
    assert.equal(tree.inside([...pvcontrol(), 'containers', 'stop', 'net-server']).status, 0);
    await eventually('it is stopped', PATIENCE_MS, () => {
      const { status, stderr } = tree.inside([...pvcontrol(), 'shell', 'net-server', 'true']);
      return status === 255 && /'net-server' is STOPPED: pvcontrol containers start net-server$/m.test(stderr);
    });
  });

  it('says where it can be used when that is elsewhere', () => {
    const words = [join(PROGRAM, 'pvcontrol.js'), '-s', tree.socket, 'shell', 'net-client', 'true'];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    assert.equal(status, 255);
    assert.match(stderr, /'net-client' has no monitor here, by \S+; containers are entered on the host that runs them/);
  });
});

describe('pvcontrol shell, where LXC makes the links', () => {
  it('finds the container by its monitor, which is on the host’s network', async () => {
    const tree = await openTree(packExample('09-legacy-coexistence'));
    try {
      tree.start();
      await tree.up();
      const words = [NODE_INSIDE, join(PROGRAM_INSIDE, 'pvcontrol.js'), '-s', tree.socket];
      const ran = tree.inside([...words, 'shell', 'ipam-static', 'sh', '-c', 'exit 3']);
      assert.deepEqual([ran.status, ran.stderr], [3, '']);
    } finally {
      await tree.close();
    }
  });
});
