// ctl-svc: HTTP on the control sockets. Knows who asks by the socket, and asks the services that know.
import { defineContract } from '../../shared/ipc/contract.ts';

export const ctlContract = defineContract({
  service: 'ctl-svc',
  job: 'Speaks HTTP on the pv-ctrl sockets, grants each caller what its role allows, and asks the services that know.',
  privileges: {
    user: 'berth-ctl',
    capabilities: [],
    reasons: {},
    noNewPrivileges: true,
    umask: 0o027,
    permissionModel: { workers: false },
  },
  files: { owns: [], reads: ['<storage>/objects', '<storage>/trails'], writes: ['<storage>/objects/incoming'] },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 3 },
  requests: {},
  events: {},
});
