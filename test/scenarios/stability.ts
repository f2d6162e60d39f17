// One address for a container's whole life, whatever is done to it and to us.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { command, installRevision, progressReaches, putBytes } from '../kit/step.ts';
import { EXAMPLES, type Tree } from '../kit/tree.ts';
import { act, addressOf, kernelAddresses, reaches, rowOf, untilRow, untilStatus } from './look.ts';
import { type Stage, wholeLog } from './scenario.ts';

const SERVER = 'net-server';
/** In alphabetical order, and so in start order, before the server. */
const NEWCOMER = 'added-later';
const REUSED = /\[ipam\] reusing existing lease for net-server: /g;

export async function leaseStability(stage: Stage): Promise<string> {
  const first = await stage.boot();
  await first.up();
  const address = await addressOf(first, SERVER);
  const isStable = async (tree: Tree): Promise<void> => {
    assert.equal(await addressOf(tree, SERVER), address);
    assert.deepEqual(await kernelAddresses(tree, SERVER, 'eth0'), [`${address}/24`]);
    assert.match(await reaches(tree, 'host', address), /hello from net-server/);
  };

  await act(first, SERVER, 'stop');
  await untilStatus(first, SERVER, 'STOPPED');
  await act(first, SERVER, 'start');
  await untilStatus(first, SERVER, 'STARTED');
  await isStable(first);

  const { pid } = await rowOf(first, SERVER);
  first.inside(['kill', '-KILL', String(pid)]);
  const recovered = await untilRow(first, SERVER, (row) => row.status === 'STARTED' && row.pid !== pid);
  await isStable(first);

  await first.endSupervisor('SIGTERM');
  first.start();
  await first.up();
  assert.equal((await rowOf(first, SERVER)).pid, recovered.pid, 'a restart of the supervisor restarted the container');
  await isStable(first);
  const reusedIn = ({ storage }: Tree): number => wholeLog(storage).match(REUSED)?.length ?? 0;
  // A cut takes what is on its way to the log.
  await eventually('the log says that it took its lease along', PATIENCE_MS, () => reusedIn(first) >= 3);

  const second = await stage.powerCut(first);
  await second.up();
  await isStable(second);

  await putBytes(second.socket, '/user-meta/PV_UPDATER_COMMIT_DELAY', Buffer.from('1'));
  const { pid: steady } = await rowOf(second, SERVER);
  await installRevision(second.socket, updateOf(stage), 'more');
  await command(second.socket, 'LOCAL_RUN', 'locals/more');
  await progressReaches(second.socket, 'locals/more', 'UPDATED');
  assert.equal((await rowOf(second, SERVER)).pid, steady, 'an update of something else restarted the container');
  await isStable(second);
  const newcomer = await addressOf(second, NEWCOMER);
  assert.notEqual(newcomer, address);

  await command(second.socket, 'REBOOT_DEVICE', 'to move the rollback point');
  await progressReaches(second.socket, 'locals/more', 'DONE');
  await isStable(second);

  await installRevision(second.socket, updateOf(stage, 'exit 1'), 'bad');
  await command(second.socket, 'LOCAL_RUN', 'locals/bad');
  await progressReaches(second.socket, 'locals/bad', 'ERROR');
  await second.up();
  await isStable(second);
  assert.equal(await addressOf(second, NEWCOMER), newcomer);

  const log = wholeLog(second.storage);
  const count = (pattern: RegExp): number => log.match(pattern)?.length ?? 0;
  const reused = reusedIn(second);
  assert.equal(count(/\[ipam\] allocated \S+ to net-server from pool internal/g), 1);
  assert.ok(reused >= 5, `the log says 'reusing existing lease' ${reused} times`);
  return `${address} over stop and start, kill -9, supervisor restart, power cut, update, reboot and rollback; allocated once, reused ${reused} times`;
}

const args = z.record(z.string(), z.unknown());

/** The same and a container more, whose init is replaced when `init` says so. */
function updateOf({ example, folder }: Stage, init?: string): string {
  const source = folder();
  cpSync(join(EXAMPLES, example), source, { recursive: true });
  const newcomer = join(source, 'containers', NEWCOMER);
  cpSync(join(source, 'containers', SERVER), newcomer, { recursive: true });
  const written = args.parse(JSON.parse(readFileSync(join(newcomer, 'args.json'), 'utf8')));
  // So that a failure is one at once.
  const recovery = init === undefined ? {} : { PV_AUTO_RECOVERY: { policy: 'no' } };
  writeFileSync(
    join(newcomer, 'args.json'),
    JSON.stringify({ ...written, PV_NETWORK_HOSTNAME: NEWCOMER, ...recovery }),
  );
  if (init !== undefined) writeFileSync(join(newcomer, 'init'), `#!/bin/sh\n${init}\n`);
  return source;
}
