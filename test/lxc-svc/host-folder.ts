// A folder of the host that no container may reach, and containers that are played to their end beside it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { openRig, type Rig } from './rig.ts';
import { type allOf, end, runToTheEnd } from './scripted.ts';

/** What a link leads to depends on who follows it, so a container makes a folder of that name, too. */
export const HOST = '/mnt/of-host';

/** For all tests of a file that runs in namespaces of its own. */
export function useHostFolder() {
  let opened: Rig | undefined;
  const rig = (): Rig => {
    if (opened === undefined) throw new Error('the rig is opened before the first test');
    return opened;
  };
  before(async () => {
    opened = await openRig();
    await opened.spawn();
    // Of this namespace alone.
    execFileSync('mount', ['-t', 'tmpfs', 'host', '/mnt']);
    mkdirSync(HOST);
    writeFileSync(join(HOST, 'shadow'), 'the host’s\n');
  });
  after(async () => {
    await opened?.close();
  });
  const value: Rig['value'] = (answer) => rig().value(answer);
  return {
    rig,
    value,
    runToTheEnd: (container: string, wanted: ReturnType<typeof allOf>) => runToTheEnd(rig(), container, wanted),
    end: (container: string) => end(rig(), container),
    hosts: (): string => readFileSync(join(HOST, 'shadow'), 'utf8'),
  };
}
