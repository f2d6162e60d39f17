// Where the device keeps whom it trusts to sign revisions: state-svc reads it, and the supervisor opens its fence there.
import { isAbsolute, join } from 'node:path';
import type { Settings } from '../config/settings.ts';

export interface TrustPlaces {
  /** With pub.pem and <name>.crt in it. */
  readonly folder: string;
  /** PV_SECUREBOOT_TRUSTSTORE, when it is a path; its name within the folder, or a folder of that name, otherwise. */
  readonly store: string;
  readonly isPath: boolean;
}

export function trustPlaces(settings: Settings): TrustPlaces {
  const folder = join(settings.value('PV_SYSTEM_ETCDIR'), 'pantavisor/pvs/trust');
  const store = settings.value('PV_SECUREBOOT_TRUSTSTORE');
  const isPath = isAbsolute(store);
  return { folder, store: isPath ? store : join(folder, store), isPath };
}
