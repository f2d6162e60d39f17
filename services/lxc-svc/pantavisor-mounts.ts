// What a container finds under /pantavisor, by its role. Pure.
//
//                    role nobody                              role mgmt
// /pantavisor            <rundir>/ctl/<container>             the same: its own sockets
//            /logs       <storage>/logs/<revision>/<container>    <storage>/logs
//            /user-meta  <rundir>/meta/<container>/user-meta  the same: state-svc fills it by role
//            /device-meta  the same
import { escapeBlanks, fieldsOf } from '../../shared/lxc-config/mount-entries.ts';
import type { Role } from '../../shared/schema/api.ts';
import type { ConfigPart } from './config-draft.ts';

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

/** Non-recursive: what is mounted on the host below a source is not seen. */
const OPTIONS = 'bind,ro,nosuid,nodev,noexec';

/** Nothing else is mounted on /pantavisor, and what the container's lines mount below it is covered by ours. */
export const pantavisorMounts: ConfigPart = (draft, { pantavisor: { sockets, shown } }) => {
  const line = (source: string, target: string, more = '') => ({
    key: 'lxc.mount.entry',
    value: `${escapeBlanks(source)} ${target} none ${OPTIONS}${more} 0 0`,
  });
  const others = draft.entries.filter(
    ({ key, value }) => key !== 'lxc.mount.entry' || fieldsOf(value).target !== 'pantavisor',
  );
  const below = Object.entries(shown).map(([name, source]) => line(pathOf(source), `pantavisor/${name}`));
  return { ...draft, entries: [...others, line(sockets, 'pantavisor', ',create=dir'), ...below] };
};
