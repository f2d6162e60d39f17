// What tests of containers ask of a rig all the time.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mountOf, type Rig, RUNDIR, startOf } from './rig.ts';

/** How a run ends by SIGKILL. */
export const KILLED = { kind: 'signal', signal: 9 };

/** Answers the pid of its init. */
export async function run(rig: Rig, container: string): Promise<number> {
  rig.value(await rig.lxc.mount(mountOf(container)));
  return rig.value(await rig.lxc.start(startOf(container))).pid;
}

export async function listed(rig: Rig, container: string) {
  const { containers } = rig.value(await rig.lxc.listContainers({}));
  return containers.find((each) => each.container === container);
}

export function consoleOf(container: string): string {
  const path = join(RUNDIR, 'lxc/.consoles', container, 'console.log');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
