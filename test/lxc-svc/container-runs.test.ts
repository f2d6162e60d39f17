// Runs as LXC's monitor tells them: with stand-ins for LXC's programs, so that they end at the same instant every time.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { createContainerRuns } from '../../services/lxc-svc/container-runs.ts';
import { isMonitor } from '../../services/lxc-svc/monitor.ts';
import { containerPlaces } from '../../services/lxc-svc/places.ts';
import { findProcesses } from '../../services/lxc-svc/process-table.ts';
import type { ExitRecord } from '../../services/lxc-svc/record-store.ts';
import { StepFailure } from '../../services/lxc-svc/step-failure.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

const PLACES = { rundir: '/run/berth', storage: '/run/berth-storage', tree: '0badcafe' };
/** More than any pid. */
const INIT = 99_999_999;
/** Where a disk is mounted that takes no write. */
const FROZEN = '/run/frozen';
/** The first of the folders in which services look for programs. */
const PROGRAMS = '/usr/local/sbin';

/**
 * lxc-start leaves a monitor, and what LXC's log says of a run; the monitor ends when it is asked for its init, which has ended before.
 * For the containers `lasting` and `stuck` it is its init itself, and no record of it can be written; that of `stuck` waits for a disk.
 */
const STAND_INS = {
  'lxc-start': `
while [ "$1" != -p ]; do shift; done
folder=\${2%/*}
program='sleep 600'
case $folder in */stuck) program='touch ${FROZEN}/file' ;; esac
(exec -a "[lxc monitor] \${folder%/*} \${folder##*/}" $program >/dev/null 2>&1 </dev/null) &
echo $! >"$2"
until grep -q monitor /proc/$!/cmdline; do :; done
case $folder in */stuck) until grep -q '^State:.D' /proc/$!/status; do :; done ;; esac
case $folder in */lasting | */stuck) mkdir -p "$folder/run.json.new" ;; esac
line() { echo "lxc-start x 20261121025857.227 $1 - ../src/lxc/start.c:f:1 - $2" >>"$folder/logs/lxc.log"; }
line 'NOTICE   start' 'Started "/init" with pid "${INIT}"'
line 'DEBUG    start' 'Container init process ${INIT} exited'
line 'INFO     error' 'Child <${INIT}> ended on error (7)'`,
  'lxc-info': `
monitor=$(cat "$2/$4/monitor.pid")
case $4 in lasting | stuck) echo $monitor; exit ;; esac
kill -KILL $monitor
until [ -z "$(tr -d '\\0' 2>/dev/null </proc/$monitor/cmdline)" ]; do :; done`,
};

before(() => {
  execFileSync('mount', ['-t', 'tmpfs', 'stand-ins', PROGRAMS]);
  for (const [name, script] of Object.entries(STAND_INS))
    writeFileSync(`${PROGRAMS}/${name}`, `#!/bin/bash${script}\n`, { mode: 0o755 });
});

describe('a run that is over before anybody looks', () => {
  it('leaves the record of its end, which is told when its start was answered', async () => {
    const order: string[] = [];
    const exited = (container: string): void => void order.push(`${container} ended`);
    const runs = createContainerRuns({ places: PLACES, readerGid: undefined, log: silentLogger, exited });
    const its = containerPlaces(PLACES, 'brief');
    mkdirSync(its.folder, { recursive: true });
    for (let round = 0; round < 2; round += 1) {
      const run = await runs.start('brief', ['/init']);
      order.push('brief started');
      assert.equal(existsSync(its.exitRecord), false, 'the end before it is over and done with');
      const exit = await run.ended;
      assert.deepEqual({ pid: exit.pid, status: exit.status }, { pid: INIT, status: { kind: 'code', code: 7 } });
      assert.deepEqual(runs.lastExit('brief'), exit);
    }
    assert.deepEqual(order, ['brief started', 'brief ended', 'brief started', 'brief ended']);
  });
});

describe('a run without room for its records', () => {
  it('is over where there was none at its start, and it can be started again', async () => {
    const runs = createContainerRuns({
      places: PLACES,
      readerGid: undefined,
      log: silentLogger,
      exited: () => undefined,
    });
    const its = containerPlaces(PLACES, 'lasting');
    mkdirSync(its.folder, { recursive: true });
    for (let round = 0; round < 2; round += 1) {
      await assert.rejects(runs.start('lasting', ['/init']), (error) => {
        return error instanceof StepFailure && /^EISDIR/.test(error.reason);
      });
      assert.equal(runs.running('lasting'), undefined);
      assert.deepEqual(
        findProcesses((command) => command.join(' ').endsWith('/lxc lasting')),
        [],
      );
      assert.deepEqual(
        [its.runRecord, its.monitorPid].filter((path) => existsSync(path)),
        [],
      );
      rmdirSync(`${its.runRecord}.new`);
    }
  });
});

describe('a monitor that outlives SIGKILL', () => {
  it('fails the start that has killed it, and what is written of it stays', async () => {
    const image = '/run/frozen.img';
    mkdirSync(FROZEN);
    writeFileSync(image, Buffer.alloc(8 * 1024 * 1024));
    execFileSync('mkfs.ext4', ['-q', image]);
    execFileSync('mount', ['-o', 'loop', image, FROZEN]);
    execFileSync('fsfreeze', ['--freeze', FROZEN]);
    const stuck = () => findProcesses((command) => command.join(' ').includes('/lxc stuck'));
    try {
      const context = { places: PLACES, readerGid: undefined, log: silentLogger, exited: () => undefined };
      const its = containerPlaces(PLACES, 'stuck');
      mkdirSync(its.folder, { recursive: true });
      let failed: unknown;
      createContainerRuns(context)
        .start('stuck', ['/init'])
        .catch((error: unknown) => {
          failed = error;
        });
      await eventually('the start fails', PATIENCE_MS, () => failed !== undefined);
      assert.ok(failed instanceof StepFailure);
      assert.match(failed.reason, /^LXC's monitor, pid \d+, is still there/);
      assert.deepEqual([stuck().length, existsSync(its.monitorPid)], [1, true]);
    } finally {
      execFileSync('fsfreeze', ['--unfreeze', FROZEN]);
      await eventually('it is gone', PATIENCE_MS, () => stuck().length === 0);
      execFileSync('umount', [FROZEN]);
    }
  });
});

describe('the end of a run', () => {
  it('is told also where there is no room for its record, once in the log as well', async () => {
    const [ends, errors]: [string[], string[]] = [[], []];
    const log = { ...silentLogger, error: (message: string) => void errors.push(message) };
    const exited = (container: string, { pid, status }: ExitRecord) =>
      void ends.push(`${container} ${pid} ${JSON.stringify(status)}`);
    const runs = createContainerRuns({ places: PLACES, readerGid: undefined, log, exited });
    const its = containerPlaces(PLACES, 'unrecorded');
    // What is written to be renamed to the record cannot be opened.
    mkdirSync(`${its.exitRecord}.new`, { recursive: true });
    const run = await runs.start('unrecorded', ['/init']);
    assert.deepEqual((await run.ended).status, { kind: 'code', code: 7 });
    assert.deepEqual(ends, [`unrecorded ${INIT} {"kind":"code","code":7}`]);
    assert.match(errors.join('\n'), /^unrecorded: [^\n]* EISDIR[^\n]*$/);
    assert.equal(runs.running('unrecorded'), undefined);
    assert.equal(existsSync(its.runRecord), false);
  });
});

describe('a monitor', () => {
  it('is known by its path, also by one of an earlier build that leads there', async () => {
    for (const folder of ['/run/berth/lxc', '/run/other/lxc']) mkdirSync(folder, { recursive: true });
    symlinkSync('berth', '/run/to-berth');
    const isKnownAs = async (title: string): Promise<boolean> => {
      const monitor = spawn('sleep', ['600'], { argv0: `[lxc monitor] ${title}`, stdio: 'ignore' });
      await once(monitor, 'spawn');
      const isKnown = isMonitor(monitor.pid ?? 0, '/run/berth/lxc', 'web');
      monitor.kill('SIGKILL');
      await once(monitor, 'exit');
      return isKnown;
    };
    assert.equal(await isKnownAs('/run/berth/lxc web'), true);
    assert.equal(await isKnownAs('/run/to-berth/lxc web'), true);
    assert.equal(await isKnownAs('/run/other/lxc web'), false);
    assert.equal(await isKnownAs('/run/berth/lxc web2'), false);
  });
});
