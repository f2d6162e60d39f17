// Every contract of the tree, in the order in which services are listed; they stop in reverse.
import type { Contract } from '../../shared/ipc/contract.ts';
import { ctlContract } from '../ctl-svc/contract.ts';
import { ipamContract } from '../ipam-svc/contract.ts';
import { logContract } from '../log-svc/contract.ts';
import { lxcContract } from '../lxc-svc/contract.ts';
import { netContract } from '../net-svc/contract.ts';
import { stateContract } from '../state-svc/contract.ts';
import { supervisorContract } from './contract.ts';

export const SERVICE_CONTRACTS: readonly Contract[] = [
  logContract,
  ctlContract,
  ipamContract,
  netContract,
  lxcContract,
  stateContract,
];

export const ALL_CONTRACTS: readonly Contract[] = [supervisorContract, ...SERVICE_CONTRACTS];
