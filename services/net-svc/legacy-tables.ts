// Notices that iptables tables of the legacy kind changed, of which the kernel tells nobody: their size is asked for with one system
// call each (getsockopt, IPT_SO_GET_INFO in linux/netfilter_ipv4/ip_tables.h), which starts no program.
//
// What is told is another number of rules or other chains. A rule replaced by another of its size, or a policy, is not seen.
import { closeSync } from 'node:fs';
import { getsockopt, KernelError, socket } from '../../shared/kernel/libc.ts';
import { attempt } from './net-failure.ts';

/** linux/socket.h; any socket of IPv4 will do, so no raw one. */
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_IP = 0;
const IPT_SO_GET_INFO = 64;
/** struct ipt_getinfo: the table's name, then hooks and, last, the number of entries and their bytes. */
const NAME_BYTES = 32;
const INFO_BYTES = 84;

/** Equal texts: nothing was added or removed. Needs CAP_NET_ADMIN. A table that is not there is made by asking. Throws NetFailure. */
export function legacyTablesState(tables: readonly string[]): string {
  return attempt('look at the tables of iptables', () => {
    const fd = socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
    try {
      return tables.map((table) => stateOf(fd, table)).join(' ');
    } finally {
      closeSync(fd);
    }
  });
}

function stateOf(fd: number, table: string): string {
  const info = Buffer.alloc(INFO_BYTES);
  info.write(table, 0, NAME_BYTES - 1, 'latin1');
  try {
    getsockopt(fd, SOL_IP, IPT_SO_GET_INFO, info);
  } catch (error) {
    if (error instanceof KernelError) return error.errno;
    throw error;
  }
  return info.subarray(NAME_BYTES).toString('hex');
}
