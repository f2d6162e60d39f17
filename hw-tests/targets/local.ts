// The sandbox of this machine: the tree in namespaces of its own, for tests that need no device. Its power is cut by taking its disk
// away and killing everything in it, where this machine can.
import { cpSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { openTree, type Tree } from '../../test/kit/tree.ts';
import type { Feature, Target } from '../target.ts';
import { createStorageDisk, lacksDisks } from './storage-disk.ts';

const LACKS: Readonly<Record<Exclude<Feature, 'cut'>, string>> = {
  reboot: 'a sandbox is not rebooted: this machine would be',
  init: 'no init starts a sandbox',
  'device-mapper': 'this machine’s devices are not a test’s',
  modules: 'this machine’s kernel is not a test’s',
  watchdog: 'this machine’s watchdog is not a test’s',
  'pure-cgroup2': 'control groups are this machine’s',
  openrc: 'no init starts a sandbox',
  sysvinit: 'no init starts a sandbox',
};

/** `revision`: a storage folder that `berth pack` wrote; it becomes the sandbox's and goes with it. */
export async function openLocal(revision: string): Promise<Target> {
  const lacksCut = lacksDisks();
  const disk = lacksCut === undefined ? createStorageDisk(revision) : undefined;
  const inside = STORAGE_INSIDE;
  const outside = disk?.folder ?? revision;
  let said = '';
  let tree: Tree | undefined;
  const running = (): Tree => {
    if (tree === undefined) throw new Error('the sandbox was not powered on');
    return tree;
  };
  /** Ends everything in it. */
  const end = async (): Promise<void> => {
    const last = tree;
    tree = undefined;
    if (last === undefined) return;
    // A sandbox takes its storage folder away: by then it is an empty one.
    disk?.unmount();
    await last.close();
    said += last.output();
    await disk?.released();
  };
  return {
    name: 'local',
    isEmulated: false,
    isNew: true,
    revision: '0',
    lacks: (feature) => (feature === 'cut' ? lacksCut : LACKS[feature]),
    get socket() {
      return running().socket;
    },
    storage: inside,
    get rundir() {
      return running().rundir;
    },
    run: async (command) => running().inside(command),
    start: (command) => running().spawnInside(command),
    async copyTo(from, to) {
      cpSync(from, join(to.replace(inside, outside), basename(from)), { recursive: true });
    },
    async copyFrom(from, to) {
      cpSync(from.replace(inside, outside), join(to, basename(from)), { recursive: true });
    },
    async powerOn() {
      if (tree === undefined) {
        disk?.mount();
        tree = await openTree(outside);
      }
      tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1']);
    },
    async powerOff() {
      await running().endSupervisor('SIGINT');
    },
    async cut() {
      if (disk === undefined) throw new Error(lacksCut);
      disk.cut();
      await end();
    },
    damage: async () => disk?.damage(),
    rebooted: () => Promise.reject(new Error(LACKS.reboot)),
    worked: (ms) => delay(ms),
    console: () => said + (tree?.output() ?? ''),
    async close() {
      try {
        await end();
      } finally {
        disk?.remove();
      }
    },
  };
}
