// Moves of processes between control groups, hurried on. The first after a while waits for a grace period of RCU, some 10 ms: longer than
// most of what LXC does for a start. Those that follow within some 15 ms do not (cgroup_attach_lock() in kernel/cgroup/cgroup.c, over
// percpu_down_write() and kernel/rcu/sync.c).
import { writeFile } from 'node:fs';
import { join } from 'node:path';
import { ownGroups } from './cgroup-tree.ts';

/** Who is expected so soon after another finds the kernel ready. */
const READY_MS = 5;

export interface CgroupMoves {
  /** Somebody will be moved soon: the kernel's wait begins now, beside all other work. Resolves with its end; nobody needs to know. Never rejects. */
  expect(): Promise<void>;
}

/** `groups`: folders of control groups that this process is in. */
export function createCgroupMoves(
  groups: () => readonly string[] = ownGroups,
  nowMs: () => number = () => performance.now(),
): CgroupMoves {
  let file: string | undefined;
  let expectedAt = Number.NEGATIVE_INFINITY;
  return {
    expect: () =>
      new Promise((resolve) => {
        const now = nowMs();
        file ??= groups().map((folder) => join(folder, 'cgroup.procs'))[0];
        if (file === undefined || now - expectedAt < READY_MS) return resolve();
        expectedAt = now;
        // 0 is whoever writes it: we are moved to where we are. Where that fails, LXC waits as it would have.
        writeFile(file, '0', { flag: 'r+' }, () => resolve());
      }),
  };
}
