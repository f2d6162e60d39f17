// Rows and lists as a device with two containers has them.
import type { ContainerRow, GroupRow } from '../../shared/schema/api.ts';

export function containerRow(name: string, changes: Partial<ContainerRow> = {}): ContainerRow {
  return {
    name,
    group: 'app',
    status: 'STARTED',
    status_goal: 'STARTED',
    restart_policy: 'container',
    roles: [],
    user_stopped: 'false',
    network: {
      hostname: name,
      interfaces: [
        {
          pool: 'internal',
          name: 'eth0',
          ipv4: '10.0.5.2/24',
          gateway: '10.0.5.1',
          bridge: 'pvbr0',
          host_interface: 'veth-c01',
          mac: '02:00:0a:00:05:02',
        },
      ],
    },
    pid: 4711,
    exit: null,
    restarts: 0,
    since: '2026-01-02T03:04:05.000Z',
    ...changes,
  };
}

export function groupRow(name: string, changes: Partial<GroupRow> = {}): GroupRow {
  return { name, status_goal: 'STARTED', restart_policy: 'container', status: 'READY', ...changes };
}
