// The lines that mount a container's /pantavisor. Pure.
import { escapeBlanks, fieldsOf } from '../../shared/lxc-config/mount-entries.ts';
import type { ConfigPart } from './config-draft.ts';
import { pathOf } from './pantavisor-sources.ts';

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
