// One address for a container's whole life, whatever is done to it and to us.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { EXAMPLES, packInto, type Tree } from '../kit/tree.ts';
import { act, addressOf, kernelAddresses, reaches, rowOf, untilRow, untilStatus } from './look.ts';
import { type Stage, wholeLog } from './scenario.ts';

const SERVER = 'net-server';
/** In alphabetical order, and so in start order, before the server. */
const NEWCOMER = 'added-later';

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

  const second = await stage.powerCut(first);
  await second.up();
  await isStable(second);

  packUpdate(stage, second.storage);
  await second.endSupervisor('SIGINT');
  second.start();
  await second.up();
  await isStable(second);
  assert.notEqual(await addressOf(second, NEWCOMER), address);

  const log = wholeLog(second.storage);
  const count = (pattern: RegExp): number => log.match(pattern)?.length ?? 0;
  const reused = count(/\[ipam\] reusing existing lease for net-server: /g);
  assert.equal(count(/\[ipam\] allocated \S+ to net-server from pool internal/g), 1);
  assert.ok(reused >= 5, `the log says 'reusing existing lease' ${reused} times`);
  return `${address} over stop and start, kill -9, supervisor restart, power cut and update; allocated once, reused ${reused} times`;
}

const args = z.record(z.string(), z.unknown());

/** Revision 1: the same and a container more. It becomes the current one with the next start. */
function packUpdate({ example, folder }: Stage, storage: string): void {
  const source = folder();
  cpSync(join(EXAMPLES, example), source, { recursive: true });
  const newcomer = join(source, 'containers', NEWCOMER);
  cpSync(join(source, 'containers', SERVER), newcomer, { recursive: true });
  const written = args.parse(JSON.parse(readFileSync(join(newcomer, 'args.json'), 'utf8')));
  writeFileSync(join(newcomer, 'args.json'), JSON.stringify({ ...written, PV_NETWORK_HOSTNAME: NEWCOMER }));
  packInto(storage, source, '--revision', '1');
  const current = join(storage, 'boot/current.json');
  writeFileSync(`${current}.new`, JSON.stringify({ revision: '1' }));
  renameSync(`${current}.new`, current);
}
