// Files of containers that have whoever opens them wait.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import koffi from 'koffi';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, startOf } from './rig.ts';

reexecInNamespaces(import.meta.filename);

const libc = koffi.load(null);
const fanotifyInit: (flags: number, eventFlags: number) => number = libc.func(
  'int fanotify_init(unsigned int, unsigned int)',
);
const fanotifyMark: (fd: number, flags: number, mask: number, folder: number, path: string) => number = libc.func(
  'int fanotify_mark(int, unsigned int, uint64_t, int, const char *)',
);
/** linux/fanotify.h */
const FAN_CLASS_CONTENT = 4;
const FAN_MARK_ADD = 1;
const FAN_OPEN_PERM = 0x10000;
const AT_FDCWD = -100;

describe('a log file that nobody may open', () => {
  let rig: Rig;
  before(async () => {
    rig = await openRig();
    await rig.spawn();
  });
  after(() => rig.close());

  it('ends two services, and is left alone by the third', async (test) => {
    makeContainer('waits', 'deaf');
    rig.value(await rig.lxc.mount({ ...mountOf('waits'), logFiles: [{ path: '/var/log/messages' }] }));
    const { pid } = rig.value(await rig.lxc.start(startOf('waits')));
    const folder = `/proc/${pid}/root/var/log`;
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'new');
    writeFileSync(file, 'a line\n');
    const group = fanotifyInit(FAN_CLASS_CONTENT, 0);
    const isMarked = group >= 0 && fanotifyMark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, file) === 0;
    if (isMarked) {
      renameSync(file, join(folder, 'messages'));
      for (let services = 0; services < 2; services += 1) {
        await eventually('it waits', PATIENCE_MS, () => textIfThere(`/proc/${rig.pid()}/wchan`).includes('fanotify'));
        await rig.kill();
        await rig.spawn();
      }
      await eventually('it is told', PATIENCE_MS, () => rig.output().includes('waits: its log files are not followed'));
      assert.equal(textIfThere(`/proc/${rig.pid()}/wchan`).includes('fanotify'), false);
    } else test.skip('this kernel asks nobody before files are opened');
    rig.value(await rig.lxc.stop({ container: 'waits', graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container: 'waits' }));
  });
});
