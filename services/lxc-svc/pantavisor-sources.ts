// What a container finds under /pantavisor, by its role. Pure.
//
//                    role nobody                              role mgmt
// /pantavisor            <rundir>/ctl/<container>             the same: its own sockets
//            /logs       <storage>/logs/<revision>/<container>    <storage>/logs
//            /user-meta  <rundir>/meta/<container>/user-meta  the same: state-svc fills it by role
//            /device-meta  the same
import type { Role } from '../../shared/schema/api.ts';

/** A folder as somebody's root, which Berth was given, and the names below it. */
export interface SourceFolder {
  readonly root: string;
  readonly below: readonly string[];
}

export interface PantavisorSources {
  /** Its control sockets; holds a mount point for each of `shown`. */
  readonly sockets: string;
  /** By the name of the mount point. */
  readonly shown: Readonly<Record<'logs' | 'user-meta' | 'device-meta', SourceFolder>>;
}

interface Trees {
  readonly rundir: string;
  readonly storage: string;
}

export function pantavisorSources(
  { rundir, storage }: Trees,
  {
    container,
    revision,
    roles,
  }: { readonly container: string; readonly revision: string; readonly roles: readonly Role[] },
  sockets: string,
): PantavisorSources {
  const meta = (kind: string): SourceFolder => ({ root: `${rundir}/meta`, below: [container, kind] });
  // A revision `locals/<name>` is two folders.
  const its = roles.includes('mgmt') ? [] : [...revision.split('/'), container];
  const logs = { root: `${storage}/logs`, below: its };
  return { sockets, shown: { logs, 'user-meta': meta('user-meta'), 'device-meta': meta('device-meta') } };
}

export function pathOf({ root, below }: SourceFolder): string {
  return [root, ...below].join('/');
}
