// Runs a test file inside mount, network and pid namespaces of its own, so that nothing it does reaches the machine.
import { spawnSync } from 'node:child_process';
import process from 'node:process';

const MARK = 'BERTH_TEST_NAMESPACED';

// A private /run (LXC, netns), and sysfs of the new network namespace; cgroup mounts under /sys are bound over again.
const SETUP = `
set -e
mount -t tmpfs -o mode=755 berth-test-run /run
mkdir -p /run/netns /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
rmdir /run/cgroup
ip link set lo up
"$@" &
child=$!
wait $child
`;

/**
 * Call it first in a test file: `await reexecInNamespaces(import.meta.filename)`. Outside, it runs the file once more
 * under unshare(1), passes its output on and ends the process with its exit code; inside, it does nothing.
 * Everything in the namespaces, however it is left, dies with that second run: its shell is pid 1 there.
 */
export function reexecInNamespaces(file: string): void {
  if (process.env[MARK] === '1') return;
  const { status, signal } = spawnSync(
    'setpriv',
    [
      // Killed, this process would leave unshare and all behind it to nobody.
      '--pdeathsig',
      'KILL',
      'unshare',
      '--mount',
      '--net',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--kill-child=SIGKILL',
      '--mount-proc',
      '--propagation',
      'private',
      'sh',
      '-c',
      SETUP,
      'sh',
      process.execPath,
      ...process.execArgv,
      file,
      ...process.argv.slice(2),
    ],
    { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } },
  );
  process.exit(status ?? (signal === null ? 1 : 128));
}
