// The real process under load: floods, kills while files are rotated and compressed, and a disk that is really full.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { logContract } from '../../services/log-svc/contract.ts';
import { FLOOD_BURST_BYTES } from '../../services/log-svc/flood-limit.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { type Channel, ok } from '../../shared/ipc/contract.ts';
import { createLogger } from '../../shared/log/logger.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { eventually } from '../kit/eventually.ts';
import { patient } from '../kit/patient.ts';
import {
  type LogTree,
  lxcHandlers,
  makeLogTree,
  makePlace,
  type Place,
  readGenerations,
  rotatedFiles,
} from './log-rig.ts';

const UID = resolveUid('berth-log');
const PATIENCE_MS = 30_000;
const MIB = 1024 * 1024;
/** Three lives of it are less than what is kept of a flood at once. */
const LINES_OF_A_LIFE = 15_000;
/** Files of 64 KiB, and room for all of them. */
const SMALL_FILES = { PV_LOG_DIR_MAXSIZE: '64M', PV_LOG_ROTATE_FACTOR: '256' } as const;

describe('log-svc under load', () => {
  let place: Place;
  let tree: LogTree;
  let state: Channel;
  const raw = (container: string): string => join(place.rundir, 'lxc', container, 'console');
  const open = async () => assert.ok((await state.client(patient(logContract)).openRevision({ revision: '0' })).ok);
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const pantavisorLog = (): string => place.log('0/pantavisor/pantavisor.log');

  beforeEach(async () => {
    place = makePlace(UID);
    tree = await makeLogTree(place);
    state = tree.connect('state-svc');
    state.ready();
    const lxc = tree.connect('lxc-svc');
    const containers = ['flood', 'quiet'].map((container) => {
      mkdirSync(dirname(raw(container)));
      writeFileSync(raw(container), '');
      const logs = [{ source: 'console' as const, path: raw(container) }];
      return { container, revision: '0', mounted: true, logs };
    });
    lxc.serve(
      lxcContract,
      lxcHandlers(() => ok({ containers })),
    );
    lxc.ready();
  });
  afterEach(async () => {
    await tree.close();
    place.remove();
  });

  it('keeps a bounded part of a flood, counts the rest to the byte, and neither grows nor lets others wait', async () => {
    const log = await tree.start();
    await open();
    const memoryMiB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${log.pid}/status`, 'utf8'))?.[1]) / 1024;
    appendFileSync(raw('quiet'), 'before\n');
    await eventually('a quiet line', PATIENCE_MS, () =>
      read(place.log('0/quiet/lxc/console.log')).includes('before\n'),
    );
    const restMiB = memoryMiB();
    const line = `${'f'.repeat(1023)}\n`;
    const total = 64 * MIB;
    for (let written = 0; written < total; written += MIB) {
      appendFileSync(raw('flood'), line.repeat(MIB / line.length));
      if (written === total / 2) appendFileSync(raw('quiet'), 'in the middle\n');
      await turn();
    }
    await eventually('the quiet one heard', PATIENCE_MS, () =>
      read(place.log('0/quiet/lxc/console.log')).includes('middle\n'),
    );
    const NOTE = /\n\[\d+ bytes left out here: .*\]\n/g;
    const kept = () => readGenerations(place.log('0/flood/lxc/console.log'));
    const keptBytes = () => kept().replaceAll(NOTE, '').length;
    // It is said anew of each stretch: a machine that is busy elsewhere writes the flood with pauses.
    const LEFT_OUT = /WARN {2}\[log\] flood, console: (\d+) bytes left out here: it writes more than 256 KiB a second/g;
    const leftOut = () =>
      [...readGenerations(pantavisorLog()).matchAll(LEFT_OUT)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
    await eventually('all of it is kept or counted', PATIENCE_MS, () => keptBytes() + leftOut() === total).catch(
      (error: unknown) => assert.fail(`${error}: ${keptBytes()} and ${leftOut()} of ${total}`),
    );
    assert.ok(leftOut() > 0);
    assert.match(kept(), NOTE);
    assert.ok(keptBytes() >= FLOOD_BURST_BYTES);
    assert.ok(memoryMiB() < restMiB + 32, `${restMiB} MiB at rest, ${memoryMiB()} MiB after ${total / MIB} MiB`);
  });

  it('loses nothing of consoles and messages when it is killed while files are rotated and compressed', async () => {
    const settings = { ...SMALL_FILES, PV_LOG_SERVER_OUTPUTS: 'filetree,singlefile' } as const;
    let log = await tree.start(settings);
    await open();
    const ipam = createLogger('ipam', tree.writeFd('ipam-svc'));
    const out = place.log('0/flood/lxc/console.log');
    let written = 0;
    const write = (lines: number): void => {
      let text = '';
      for (let line = 0; line < lines; line++) text += `line ${++written} ${'.'.repeat(60)}\n`;
      // In two pieces, the second one short: what is cut must be put together again.
      appendFileSync(raw('flood'), text.slice(0, -3));
      appendFileSync(raw('flood'), text.slice(-3));
    };
    for (let kill = 0; kill < 6; kill++) {
      const compressed = rotatedFiles(out).length;
      const end = written + LINES_OF_A_LIFE;
      const load = setInterval(() => {
        if (written >= end) return;
        write(60);
        ipam.info(`message ${written}.`);
      }, 4);
      try {
        await eventually('a rotation', PATIENCE_MS, () => rotatedFiles(out).length > compressed);
        if (kill % 2 === 1) {
          // LXC keeps one older file: what was there is read by now.
          const mark = `line ${written} `;
          await eventually('caught up', PATIENCE_MS, () => readGenerations(out).includes(mark));
          renameSync(raw('flood'), `${raw('flood')}.1`);
        }
        await log.kill();
      } finally {
        clearInterval(load);
      }
      log = await tree.start(settings);
    }
    write(1);
    ipam.info('the last message');
    const last = [`line ${written} `, 'the last message'];
    await eventually('the last line and the last message', PATIENCE_MS, () => {
      const all = readGenerations(place.log('0/pv.log'));
      return last.every((text) => all.includes(text)) && readGenerations(out).includes(`line ${written} `);
    });
    await eventually('everything compressed', PATIENCE_MS, () =>
      [out, place.log('0/pv.log')].every((path) => rotatedFiles(path).every((file) => file.endsWith('.gz'))),
    );
    const ids = (text: string, pattern: RegExp) => new Set([...text.matchAll(pattern)].map(([, id]) => Number(id)));
    assert.equal(ids(readGenerations(out), /^line (\d+) \.{60}$/gm).size, written, 'of the console');
    const single = readGenerations(place.log('0/pv.log'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const texts = single
      .filter(({ plat }) => plat === 'flood')
      .map(({ msg }) => msg)
      .join('\n');
    assert.equal(ids(texts, /^line (\d+) \.{60}$/gm).size, written, 'of the console, in pv.log');
    const messages = ids(readGenerations(pantavisorLog()), /\[ipam\] message (\d+)\./g);
    const said = single.filter(({ src }) => src === 'ipam').map(({ msg }) => msg);
    assert.deepEqual(ids(said.join('\n'), /^message (\d+)\.$/gm), messages);
    assert.ok(messages.size > 6);
  });

  it('lives on a disk that is really full, says so, and recovers when there is room', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', place.storage]);
    mkdirSync(place.log());
    chownSync(place.log(), UID, UID);
    try {
      const log = await tree.start({ PV_LOG_DIR_MAXSIZE: '256K' });
      await open();
      const health = tree.connect('ctl-svc').client(patient(logContract));
      const reasons = async () => {
        const asked = await health.health({});
        return asked.ok ? asked.value.reasons : [];
      };
      // Somebody else's: nothing of it is ours to remove.
      const ballast = join(place.storage, 'ballast');
      mkdirSync(ballast);
      for (let at = 0; ; at++) {
        try {
          writeFileSync(join(ballast, `${at}`), Buffer.alloc(4096, 1), { flag: 'wx' });
        } catch {
          break;
        }
      }
      appendFileSync(raw('quiet'), `${'q'.repeat(8191)}\n`);
      await eventually('a reason', PATIENCE_MS, async () =>
        (await reasons()).some(
          ({ code, message }) =>
            code === 'LOG_UNWRITABLE' && /console\.log cannot be written: ENOSPC.*dropped so far/.test(message),
        ),
      );
      assert.equal(existsSync(`/proc/${log.pid}`), true);
      rmSync(ballast, { recursive: true });
      await eventually('room again', PATIENCE_MS, async () => {
        appendFileSync(raw('quiet'), 'more\n');
        return (await reasons()).length === 0 && read(place.log('0/quiet/lxc/console.log')).includes('more\n');
      });
      await eventually('what is missing said', PATIENCE_MS, () =>
        /dropped \d+ lines .* of .*console\.log, which can be written again: ENOSPC/.test(read(pantavisorLog())),
      );
      assert.ok(statSync(place.log('0/quiet/lxc/console.log')).size > 0);
    } finally {
      // Lazily: the process that is killed next has files open there.
      execFileSync('umount', ['-l', place.storage]);
    }
  });
});
