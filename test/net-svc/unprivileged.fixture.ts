// The whole service's work in one run, as whoever runs it. Prints what came of it as JSON.
import { readFileSync, writeFileSync } from 'node:fs';
import { attach, listAttachments } from '../../services/net-svc/attachments.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { iptables, nftables } from '../../services/net-svc/nat-command.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { bareHost } from './bare-host.ts';
import { internal, leaseOf } from './kernel.ts';

async function work(dir: string) {
  const namespaces = openNamespaces(dir);
  const backends = process.argv[3] === 'iptables' ? [iptables] : [nftables];
  const host = bareHost(createNat(backends, [nftables, iptables], `${dir}/.nat`));
  const { nat } = await host.configure([internal]);
  attach(namespaces, 'stays', [leaseOf(internal, 'stays', 2)]);
  attach(namespaces, 'goes', [leaseOf(internal, 'goes', 3)]);
  detach(namespaces, 'goes');
  let foreignWrite = 'allowed';
  try {
    writeFileSync('/etc/hostname', '');
  } catch (error) {
    foreignWrite = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
  }
  return {
    nat,
    health: host.healthReasons(),
    attachments: listAttachments(namespaces),
    status: readFileSync('/proc/self/status', 'utf8'),
    foreignWrite,
  };
}

const dir = process.argv[2];
// By itself it would make its pool on the machine that it is run on.
if (dir === undefined) throw new Error('is run by a test, in namespaces of its own');
work(dir).then((result) => process.stdout.write(JSON.stringify(result)));
