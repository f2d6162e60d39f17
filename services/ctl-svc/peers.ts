// The services that ctl-svc asks.
import type { Channel, Client } from '../../shared/ipc/contract.ts';
import { ipamContract } from '../ipam-svc/contract.ts';
import { logContract } from '../log-svc/contract.ts';
import { lxcContract } from '../lxc-svc/contract.ts';
import { netContract } from '../net-svc/contract.ts';
import { stateContract } from '../state-svc/contract.ts';
import { supervisorContract } from '../supervisor/contract.ts';

export interface Peers {
  readonly supervisor: Client<typeof supervisorContract>;
  readonly state: Client<typeof stateContract>;
  readonly ipam: Client<typeof ipamContract>;
  readonly net: Client<typeof netContract>;
  readonly lxc: Client<typeof lxcContract>;
  readonly log: Client<typeof logContract>;
}

export function connectPeers(channel: Channel): Peers {
  return {
    supervisor: channel.client(supervisorContract),
    state: channel.client(stateContract),
    ipam: channel.client(ipamContract),
    net: channel.client(netContract),
    lxc: channel.client(lxcContract),
    log: channel.client(logContract),
  };
}
