// A live ctl-svc with fake services behind it, as a process of its own: what crashes or grows here is seen from outside.
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { newWorld } from '../../test/ctl-svc/fake-peers.ts';
import { startRig } from '../../test/ctl-svc/rig.ts';
import { containerRow } from '../../test/ctl-svc/rows.ts';

export interface Sockets {
  readonly host: string;
  readonly mgmt: string;
  readonly plain: string;
}

export interface Figures {
  /** After a collection of garbage, bytes. */
  readonly heapBytes: number;
  /** Outside of the heap: buffers. */
  readonly externalBytes: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

/** What the fakes remember of requests is theirs, and would look like growth of ctl-svc. */
function forget(world: ReturnType<typeof newWorld>): void {
  world.asked.length = 0;
  world.metadata.user.clear();
  world.metadata.device.clear();
  world.store.commands.length = 0;
  world.store.objects.clear();
  for (const name of world.store.steps.keys()) if (name !== '0') world.store.steps.delete(name);
}

function figures(): Figures {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  const descriptors = readdirSync('/proc/self/fd').length;
  return { heapBytes: heapUsed, externalBytes: external, residentBytes: rss, descriptors };
}

const world = newWorld();
world.containers.push(containerRow('asleep', { status: 'STOPPED' }));
const rig = await startRig(['web', 'base'], world);
process.on('message', (message) => {
  if (message === 'end') {
    rig.stop();
    process.exit(0);
  }
  forget(world);
  process.send?.(figures());
});
const sockets: Sockets = { host: rig.host, mgmt: rig.socketOf('web'), plain: rig.socketOf('base') };
process.send?.(sockets);
