import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { LogSource } from '../../services/log-svc/log-flow.ts';
import { createServicePipes } from '../../services/log-svc/service-pipe.ts';
import { pipe2NonBlocking } from '../../shared/kernel/unix-sockets.ts';
import { makePlace, type Place } from './log-rig.ts';

const SOURCE = JSON.stringify(join(import.meta.dirname, '../../services/log-svc/service-pipe.ts'));

/** pipe(7) */
const PIPE_BYTES = 64 * 1024;

describe('log-svc.servicePipes', () => {
  let place: Place;
  let acceptedPath: string;
  let ends: { readFd: number; writeFd: number };
  let source: LogSource | undefined;

  beforeEach(() => {
    place = makePlace();
    acceptedPath = join(place.rundir, 'log', 'net-svc.accepted');
    ends = pipe2NonBlocking();
  });
  afterEach(() => {
    mock.timers.reset();
    source?.stop();
    // The source's socket closes the read end.
    if (source === undefined) closeSync(ends.readFd);
    source = undefined;
    closeSync(ends.writeFd);
    place.remove();
  });

  /** The texts that a source hands on, until one of them is "end". */
  const textsUntilEnd = async (): Promise<readonly string[]> => {
    const texts: string[] = [];
    await new Promise<void>((resolve) => {
      source = createServicePipes([{ origin: 'net-svc', fd: ends.readFd, acceptedPath }]);
      source.start({
        messages(batch) {
          texts.push(...batch.map(({ text }) => text));
          if (texts.includes('end')) resolve();
        },
        bytes: () => undefined,
      });
    });
    return texts;
  };

  it('hands on again what a predecessor had read when it was killed, and completes the line it was cut in', async () => {
    writeSync(ends.writeFd, 'one\ntwo\nthr');
    const program = `import { createServicePipes } from ${SOURCE};
      createServicePipes([{ origin: 'net-svc', fd: 3, acceptedPath: ${JSON.stringify(acceptedPath)} }])
        .start({ messages: () => process.kill(process.pid, 'SIGKILL'), bytes: () => undefined });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      stdio: ['ignore', 'inherit', 'inherit', ends.readFd],
      cwd: join(import.meta.dirname, '../..'),
    });
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    writeSync(ends.writeFd, 'ee\nend\n');
    assert.deepEqual(await textsUntilEnd(), ['one', 'two', 'three', 'end']);
  });

  it('hands on what comes behind a line that its predecessor was killed in when it put it by', async () => {
    const [one, end] = ['one', 'end'].map((msg) => JSON.stringify({ level: 30, time: 1, src: 'net', msg }));
    writeFileSync(acceptedPath, `${'12'.padStart(11)}\n${one}\n${end?.slice(0, 20)}`);
    writeSync(ends.writeFd, `${end}\n`);
    assert.deepEqual(await textsUntilEnd(), ['one', end?.slice(0, 20), 'end']);
  });

  it('hands on nothing twice after an orderly end', async () => {
    writeSync(ends.writeFd, 'one\nend\n');
    await textsUntilEnd();
    source?.stop();
    const successor = pipe2NonBlocking();
    closeSync(ends.writeFd);
    ends = successor;
    writeSync(ends.writeFd, 'two\nend\n');
    assert.deepEqual(await textsUntilEnd(), ['two', 'end']);
  });

  it('hands on what waited in several pipes as it happened, not pipe by pipe', async () => {
    const other = pipe2NonBlocking();
    const line = (time: number, msg: string): string => `${JSON.stringify({ level: 30, time, src: 'x', msg })}\n`;
    try {
      writeSync(ends.writeFd, line(10, 'first') + line(30, 'third'));
      writeSync(other.writeFd, line(20, 'second') + line(40, 'fourth'));
      const batches: (readonly string[])[] = [];
      source = createServicePipes([
        { origin: 'net-svc', fd: ends.readFd, acceptedPath },
        { origin: 'lxc-svc', fd: other.readFd, acceptedPath: `${acceptedPath}.other` },
      ]);
      source.start({ messages: (batch) => batches.push(batch.map(({ text }) => text)), bytes: () => undefined });
      assert.deepEqual(batches, [['first', 'second', 'third', 'fourth']]);
    } finally {
      closeSync(other.writeFd);
    }
  });

  it('leaves in the pipe what comes right after a read, and reads it together', async () => {
    // By the clock's word alone: nothing is read before it says so.
    mock.timers.enable({ apis: ['setTimeout'] });
    const batches: (readonly string[])[] = [];
    source = createServicePipes([{ origin: 'net-svc', fd: ends.readFd, acceptedPath }]);
    source.start({ messages: (batch) => batches.push(batch.map(({ text }) => text)), bytes: () => undefined });
    const turns = async (isDone: () => boolean, most: number): Promise<void> => {
      for (let turn = 0; turn < most && !isDone(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    writeSync(ends.writeFd, 'one\n');
    await turns(() => batches.length > 0, 1_000);
    writeSync(ends.writeFd, 'two\n');
    await turns(() => batches.length > 1, 10);
    writeSync(ends.writeFd, 'three\n');
    assert.deepEqual(batches, [['one']]);
    mock.timers.tick(1_000);
    await turns(() => batches.length > 1, 1_000);
    assert.deepEqual(batches, [['one'], ['two', 'three']]);
  });

  it('goes on at once while a read takes all that it can', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    // Less than the first look takes, and all that a pipe holds behind it.
    const read = textsUntilEnd();
    writeSync(ends.writeFd, `${'x'.repeat(PIPE_BYTES - 1)}\n`);
    const end = (): void => {
      try {
        writeSync(ends.writeFd, 'end\n');
      } catch {
        // EAGAIN: not read yet.
        setImmediate(end);
      }
    };
    end();
    assert.equal((await read).at(-1), 'end');
  });

  it('cuts a line at 16 KiB', async () => {
    writeSync(ends.writeFd, `${'x'.repeat(20_000)}\nend\n`);
    assert.deepEqual(await textsUntilEnd(), [`${'x'.repeat(16_384)} … (3616 bytes cut)`, 'end']);
  });
});
