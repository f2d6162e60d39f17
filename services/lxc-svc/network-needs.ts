// Which network a container comes to be in by its own lines, and which one LXC's monitor has to be in for them. Pure.
import { type NetworkKind, namesOf } from '../../shared/lxc-config/owned-keys.ts';
import type { ConfigLine } from './config-draft.ts';

/** `monitor`: the one that the monitor is in. `links`: a new one, with what the monitor makes or finds where it is. */
type OwnNetwork = 'shared' | 'monitor' | 'links' | 'empty';

/** As LXC reads them (src/lxc/start.c, resolve_clone_flags(); src/lxc/network.c, lxc_requests_empty_network()). */
export function ownNetwork(entries: readonly ConfigLine[]): OwnNetwork {
  if (entries.findLast(({ key }) => key === 'lxc.namespace.share.net')?.value) return 'shared';
  const [keep, clone] = [namesOf(entries, 'lxc.namespace.keep'), namesOf(entries, 'lxc.namespace.clone')];
  const interfaces = [...interfacesOf(entries).values()];
  if (keep.length > 0 ? keep.includes('net') : clone.length > 0 && !clone.includes('net')) return 'monitor';
  const isNone = interfaces.length > 0 && interfaces.every(({ type }) => type === 'none');
  if (isNone && keep.length === 0 && clone.length === 0) return 'monitor';
  const isLinked = interfaces.some(({ type, hasScript }) => hasScript || (type !== 'none' && type !== 'empty'));
  return isLinked ? 'links' : 'empty';
}

interface Interface {
  readonly type: string;
  readonly hasScript: boolean;
}

/** By number. */
function interfacesOf(entries: readonly ConfigLine[]): ReadonlyMap<string, Interface> {
  const interfaces = new Map<string, Interface>();
  for (const { key, value } of entries) {
    if (key === 'lxc.net') interfaces.clear();
    const [, number, field] = /^lxc\.net\.(\d+)(?:\.(.+))?$/.exec(key) ?? [];
    if (number === undefined) continue;
    const { type, hasScript } = interfaces.get(number) ?? { type: '', hasScript: false };
    if (field === undefined) interfaces.delete(number);
    else if (field === 'type') interfaces.set(number, { type: value, hasScript });
    else interfaces.set(number, { type, hasScript: hasScript || field.startsWith('script.') });
  }
  return interfaces;
}

/** Those that the monitor runs; all others run where the container is. */
const MONITOR_HOOKS = /^lxc\.hook\.(?:pre-start|start-host|stop|post-stop)$/;

/** LXC makes and finds links where its monitor is, and runs there what is for the machine. */
export function needsHost(entries: readonly ConfigLine[], network: NetworkKind): boolean {
  if (network === 'legacy' && ownNetwork(entries) === 'links') return true;
  return entries.some(({ key, value }) => value !== '' && MONITOR_HOOKS.test(key));
}
