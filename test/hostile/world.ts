// Three containers on one pool: `victim` serves a page, `friend` asks for it, `evil` has root inside, no role, and bad intentions.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type SourceContainer, STAYS, writeSource } from '../kit/step.ts';
import { attached, openTree, packExample, type Tree } from '../kit/tree.ts';

const POOL = { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true };
export const GATEWAY = '10.0.5.1';
export const GATEWAY_MAC = '02:00:0a:00:05:01';
const PORT = 8080;
const PAGE = 'the page of the victim';

export const MAX_PIDS = 40;
export const MAX_BYTES = 48 * 1024 * 1024;
/** Of either version of control groups; Berth takes those that the host has. */
const LIMITS = [
  `lxc.cgroup.pids.max = ${MAX_PIDS}`,
  `lxc.cgroup2.pids.max = ${MAX_PIDS}`,
  `lxc.cgroup.memory.limit_in_bytes = ${MAX_BYTES}`,
  `lxc.cgroup2.memory.max = ${MAX_BYTES}`,
];
/** What the README advises for containers that are not trusted; everything else is LXC's default, net_admin and net_raw among it. */
const UNTRUSTED = ['sys_admin', 'dac_read_search', 'mknod', 'sys_module', 'sys_rawio', 'sys_ptrace'];

const SERVER = `trap 'exit 0' TERM PWR\necho '${PAGE}' >/tmp/index.html\n/bin/busybox httpd -f -p ${PORT} -h /tmp &\nwait $!\n`;

interface Spec {
  readonly init: string;
  readonly conf?: readonly string[];
  readonly drop?: readonly string[];
}
const CONTAINERS: Readonly<Record<string, Spec>> = {
  victim: { init: SERVER },
  friend: { init: STAYS },
  evil: { init: STAYS, conf: LIMITS, drop: UNTRUSTED },
};

function containerSource({ init, conf = [], drop }: Spec): SourceContainer {
  const args = {
    PV_NETWORK_POOL: 'internal',
    PV_LXC_EXTRA_CONF: ['lxc.signal.halt = SIGTERM', ...conf],
    ...(drop === undefined ? {} : { PV_LXC_CAP_DROP: drop }),
  };
  return { args, init };
}

export interface HostileWorld {
  readonly tree: Tree;
  readonly evilSocket: string;
  addressOf(container: string): string;
  macOf(container: string): string;
  pidOf(container: string): number;
  /** Runs a script as root of the evil container, in its groups, to its end. */
  evil(script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
  /** Starts one that ends by itself after some seconds. */
  evilFor(seconds: number, script: string): Promise<number | null>;
  /** In the network of a container that is not evil. */
  near(container: string, command: readonly string[]): string;
  /** The friend gets the victim's page, so often, one after the other. */
  served(times: number): void;
  close(): Promise<void>;
}

export async function openHostileWorld(): Promise<HostileWorld> {
  const source = join(mkdtempSync(join(tmpdir(), 'berth-hostile-')), 'source');
  const containers = Object.entries(CONTAINERS).map(([name, spec]) => [name, containerSource(spec)] as const);
  writeSource(source, Object.fromEntries(containers), { network: { pools: { internal: POOL } } });
  const tree = await openTree(packExample(source));
  rmSync(dirname(source), { recursive: true });
  tree.start();
  const rows = await tree.up();
  const rowOf = (container: string) => {
    const row = rows.find(({ name }) => name === container);
    if (row?.network === undefined) throw new Error(`${container} has no network`);
    return row;
  };
  const interfaceOf = (container: string) => {
    const [found] = rowOf(container).network?.interfaces ?? [];
    if (found === undefined) throw new Error(`${container} has no interface`);
    return found;
  };
  const attach = (script: string): readonly string[] =>
    attached(tree, 'evil', ['/bin/sh', '-c', `PATH=/tmp/bin; ${script}`]);
  const near = (container: string, command: readonly string[]): string => {
    const { status, stdout, stderr } = tree.inside(['nsenter', `--net=${tree.rundir}/netns/${container}`, ...command]);
    assert.equal(status, 0, `${command.join(' ')}: ${stderr}`);
    return stdout;
  };
  const evil = (script: string) => tree.inside(attach(script));
  assert.equal(evil('/bin/busybox mkdir /tmp/bin && /bin/busybox --install -s /tmp/bin').status, 0);
  return {
    tree,
    evilSocket: `${tree.rundir}/ctl/evil/pv-ctrl`,
    addressOf: (container) => interfaceOf(container).ipv4.split('/')[0] ?? '',
    macOf: (container) => interfaceOf(container).mac,
    pidOf: (container) => rowOf(container).pid ?? 0,
    evil,
    evilFor(seconds, script) {
      const child = tree.spawnInside(['timeout', '-s', 'KILL', String(seconds), ...attach(script)]);
      child.stdout?.resume();
      child.stderr?.resume();
      return new Promise((resolve) => child.once('exit', resolve));
    },
    near,
    served(times) {
      const url = `http://${interfaceOf('victim').ipv4.split('/')[0]}:${PORT}/`;
      for (let index = 0; index < times; index += 1) {
        assert.equal(near('friend', ['curl', '-s', '-f', '--max-time', '20', url]).trim(), PAGE);
      }
    },
    close: () => tree.close(),
  };
}
