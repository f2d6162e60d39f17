// What net-svc was told last, kept over its own death: pools and the leases of attached containers, in one file beside the
// namespaces, written beside and renamed. Of this boot only: after a reboot state-svc says everything anew.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import { containerName } from '../../shared/schema/names.ts';
import { bridgePool, type Lease, lease, type Pool } from '../../shared/schema/network.ts';
import { attempt } from './net-failure.ts';

const document = z.strictObject({
  boot: z.string(),
  pools: z.array(bridgePool),
  attachments: z.array(z.strictObject({ container: containerName, leases: z.array(lease) })),
});

export interface DesiredState {
  readonly pools: readonly Pool[];
  readonly attachments: ReadonlyMap<string, readonly Lease[]>;
  /** By the pool's name. */
  readonly isMacvlan: (pool: string) => boolean;
  /** Each is on file when it returns. Throws NetFailure. */
  setPools(pools: readonly Pool[]): void;
  setAttachment(container: string, leases: readonly Lease[]): void;
  /** Unknown: a no-op. */
  dropAttachment(container: string): void;
}

/** `onDamage` hears why a file that is there cannot be used. */
export function openDesiredState(path: string, onDamage: (reason: string) => void): DesiredState {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const found = read(path, boot, onDamage);
  let pools: readonly Pool[] = found?.pools ?? [];
  const attachments = new Map((found?.attachments ?? []).map(({ container, leases }) => [container, leases]));
  let written = found === undefined ? '' : JSON.stringify(found);

  const write = (): void => {
    const entries = [...attachments].map(([container, leases]) => ({ container, leases }));
    const text = JSON.stringify({ boot, pools, attachments: entries });
    if (text === written) return;
    attempt('write down what was asked for', () => {
      if (pools.length === 0 && entries.length === 0) {
        for (const name of [path, `${path}.new`]) rmSync(name, { force: true });
      } else {
        writeFileSync(`${path}.new`, text, { mode: 0o600 });
        renameSync(`${path}.new`, path);
      }
    });
    written = text;
  };

  return {
    get pools() {
      return pools;
    },
    attachments,
    isMacvlan: (pool) => pools.some(({ name, type }) => name === pool && type === 'macvlan'),
    setPools(wanted) {
      pools = wanted;
      write();
    },
    setAttachment(container, leases) {
      attachments.set(container, [...leases]);
      write();
    },
    dropAttachment(container) {
      if (attachments.delete(container)) write();
    },
  };
}

function read(path: string, boot: string, onDamage: (reason: string) => void) {
  const text = readIfPresent(path);
  if (text === undefined) return undefined;
  try {
    const found = document.parse(JSON.parse(text));
    return found.boot === boot ? found : undefined;
  } catch (error) {
    onDamage(`${path} is damaged and not used: ${reasonOf(error)}`);
    return undefined;
  }
}
