// The sandbox of this machine: the tree in namespaces of its own, for tests that need no device.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { openTree } from '../../test/kit/tree.ts';
import type { Feature, Target } from '../target.ts';

const LACKS: Readonly<Record<Feature, string>> = {
  reboot: 'a sandbox is not rebooted: this machine would be',
  cut: 'the power of this machine is not ours to cut',
  init: 'no init starts a sandbox',
  'device-mapper': 'this machine’s devices are not a test’s',
  modules: 'this machine’s kernel is not a test’s',
  watchdog: 'this machine’s watchdog is not a test’s',
  'pure-cgroup2': 'control groups are this machine’s',
};

/** `revision`: a storage folder that `berth pack` wrote; it becomes the sandbox's and goes with it. */
export async function openLocal(revision: string): Promise<Target> {
  const tree = await openTree(revision);
  const inside = STORAGE_INSIDE;
  return {
    name: 'local',
    lacks: (feature) => LACKS[feature],
    socket: tree.socket,
    storage: inside,
    rundir: tree.rundir,
    run: async (command) => tree.inside(command),
    start: (command) => tree.spawnInside(command),
    async copyTo(from, to) {
      cpSync(from, join(to.replace(inside, revision), from.split('/').pop() ?? ''), { recursive: true });
    },
    async copyFrom(from, to) {
      cpSync(from.replace(inside, revision), join(to, from.split('/').pop() ?? ''), { recursive: true });
    },
    async powerOn() {
      tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1']);
    },
    async powerOff() {
      await tree.endSupervisor('SIGINT');
    },
    cut: () => Promise.reject(new Error(LACKS.cut)),
    rebooted: () => Promise.reject(new Error(LACKS.reboot)),
    console: () => tree.output(),
    close: () => tree.close(),
  };
}
