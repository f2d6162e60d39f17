// What the container rows run: N containers of busybox that obey at once, as a source folder and as a bare LXC script.
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where /ready is, it obeys: before that SIGTERM is lost on it, as a namespace's first process has no default for signals (pid_namespaces(7)). */
const INIT = '#!/bin/sh\ntrap "exit 0" TERM\n: > /ready\nwhile :; do sleep 3600 & wait $!; done\n';
const ROOTFS = `file /bin/busybox /usr/bin/busybox|/bin/busybox 0755
link /bin/sh busybox
link /bin/sleep busybox
file /init init 0755
dir /dev
dir /proc
dir /sys
dir /run
dir /tmp 1777
`;
const DEVICE = {
  network: { pools: { bench: { type: 'bridge', bridge: 'pvbench0', subnet: '10.0.7.0/24', gateway: '10.0.7.1' } } },
};
const ARGUMENTS = {
  PV_GROUP: 'app',
  PV_RESTART_POLICY: 'container',
  PV_NETWORK_POOL: 'bench',
  PV_AUTO_RECOVERY: { policy: 'always', max_retries: 0, retry_delay: 0, backoff_policy: 'never' },
  PV_LXC_EXTRA_CONF: 'lxc.signal.halt = SIGTERM',
};

export const nameOf = (index: number): string => `c${String(index).padStart(2, '0')}`;

/** A source folder for `berth pack`; the caller removes it. */
export function writeIdleSource(count: number): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  chmodSync(source, 0o755);
  writeFileSync(join(source, 'device.json'), JSON.stringify(DEVICE));
  for (let index = 0; index < count; index += 1) {
    const folder = join(source, 'containers', nameOf(index));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'args.json'), JSON.stringify(ARGUMENTS));
    writeFileSync(join(folder, 'rootfs.list'), ROOTFS);
    writeFileSync(join(folder, 'init'), INIT);
  }
  return source;
}

/**
 * $1 a root squashfs, $2 how many containers, $3 how many lxc-start at a time. Mounts everything first, outside the measure; then
 * prints the milliseconds until every init runs, and those of one lxc-stop and one lxc-start.
 */
export const BARE_LXC = `
set -e
path=/run/bare
mkdir -p $path
now() { echo $(($(date +%s%N) / 1000)); }
i=0
while [ $i -lt $2 ]; do
  c=$path/c$i
  mkdir -p $c/lower $c/layer $c/rootfs
  mount -o loop,ro "$1" $c/lower
  mount -t tmpfs tmpfs $c/layer
  mkdir $c/layer/upper $c/layer/work
  mount -t overlay -o lowerdir=$c/lower,upperdir=$c/layer/upper,workdir=$c/layer/work overlay $c/rootfs
  ip netns add bare$i
  cat > $c/config <<END
lxc.uts.name = c$i
lxc.rootfs.path = dir:$c/rootfs
lxc.init.cmd = /init
lxc.signal.halt = SIGTERM
lxc.mount.auto = proc sys:rw
lxc.namespace.share.net = /run/netns/bare$i
END
  i=$((i + 1))
done
start() { lxc-start -d -P $path -n c$1 -f $path/c$1/config; }
begin=$(now)
i=0
while [ $i -lt $2 ]; do
  start $i &
  i=$((i + 1))
  [ $((i % $3)) -ne 0 ] || wait
done
wait
end=$(now)
until [ -e $path/c0/layer/upper/ready ]; do sleep 0.01; done
begin2=$(now)
lxc-stop -P $path -n c0
start 0
end2=$(now)
echo "times $((end - begin)) $((end2 - begin2))"
i=0
while [ $i -lt $2 ]; do
  lxc-stop -k -P $path -n c$i &
  i=$((i + 1))
done
wait
i=0
while [ $i -lt $2 ]; do
  umount $path/c$i/rootfs $path/c$i/layer $path/c$i/lower
  ip netns del bare$i
  i=$((i + 1))
done
`;
