// Forwarding between the host's links: switched on where a pool needs NAT, never off, since others may have asked for it too.
import { readFileSync, writeFileSync } from 'node:fs';
import { attempt } from './net-failure.ts';

/** Of the network namespace of whoever opens it. Writable with CAP_NET_ADMIN whatever the file's owner (net_ctl_permissions()). */
const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';

/** Answers whether it had to be switched on. Throws NetFailure. */
export function ensureForwarding(): boolean {
  return attempt('switch on net.ipv4.ip_forward', () => {
    if (readFileSync(IP_FORWARD, 'utf8').trim() === '1') return false;
    writeFileSync(IP_FORWARD, '1');
    return true;
  });
}
