import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { build } from 'esbuild';
import { bundleOptions } from '../../scripts/bundles.ts';
import { pipe2NonBlocking } from '../../shared/kernel/unix-sockets.ts';
import { createLogger } from '../../shared/log/logger.ts';

const LOGGER = JSON.stringify(join(import.meta.dirname, '../../shared/log/logger.ts'));

/** Runs `program` in a process whose stdout is `stdout`, with `logger` imported there. */
function runLogger(program: string, stdout: number) {
  const source = `import { createLogger } from ${LOGGER}; ${program}`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
    stdio: ['ignore', stdout, 'pipe'],
    cwd: join(import.meta.dirname, '../..'),
  });
}

function drain(fd: number): string {
  const chunk = Buffer.alloc(64 * 1024);
  let text = '';
  try {
    for (;;) text += chunk.subarray(0, readSync(fd, chunk)).toString();
  } catch {
    // EAGAIN: empty.
  }
  return text;
}

const FLOOD = `const log = createLogger('flood');
  for (let n = 0; n < 40_000; n++) { log.info('line ' + n + ' ' + 'x'.repeat(60)); if (n % 100 === 0) await new Promise(setImmediate); }`;

describe('logger', () => {
  it('neither waits for a full pipe nor dies of it, and ends at once when asked', async () => {
    const { readFd, writeFd } = pipe2NonBlocking();
    const child = runLogger(`${FLOOD} log.fatal('dying'); log.flush(); process.exit(7);`, writeFd);
    const [code] = await once(child, 'exit');
    assert.equal(code, 7);
    assert.match(drain(readFd), /^\{"level":30,"time":\d+,"src":"flood","msg":"line 0 x+"\}\n/);
    for (const fd of [readFd, writeFd]) closeSync(fd);
  });

  it('says how many lines are missing once the pipe is read again, and loses no other', async () => {
    const { readFd, writeFd } = pipe2NonBlocking();
    const child = runLogger(
      `${FLOOD} process.stderr.write('.'); let k = 0; setInterval(() => log.info('again ' + k++), 20); await new Promise(() => undefined);`,
      writeFd,
    );
    closeSync(writeFd);
    const ended = once(child, 'exit');
    let text = '';
    try {
      // Nobody reads before everything was written.
      assert.ok(child.stderr !== null);
      await once(child.stderr, 'data');
      const reader = new Socket({ fd: readFd, readable: true, writable: false });
      for await (const chunk of reader) {
        text += String(chunk);
        if (/"msg":"again \d+"/.test(text)) break;
      }
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    const losses = [...text.matchAll(/"msg":"lost (\d+) lines here/g)].map(([, lines]) => Number(lines));
    const lost = losses.reduce((sum, lines) => sum + lines, 0);
    const seen = [...text.matchAll(/"msg":"line (\d+) /g)].length;
    assert.ok(lost > 0);
    // Said while the pipe was still full, they are missing as well.
    const again = Number(/"msg":"again (\d+)"/.exec(text)?.[1]);
    assert.equal(seen + lost, 40_000 + again);
  });

  it('survives a reader that is gone for good', async () => {
    const { readFd, writeFd } = pipe2NonBlocking();
    closeSync(readFd);
    const child = runLogger(`${FLOOD} log.flush(); process.exit(7);`, writeFd);
    closeSync(writeFd);
    assert.deepEqual(await once(child, 'exit'), [7, null]);
  });

  it('shares a pipe among several areas of a service', () => {
    const { readFd, writeFd } = pipe2NonBlocking();
    const [net, ipam] = [createLogger('net', writeFd), createLogger('ipam', writeFd)];
    net.warn('one', { bridge: 'pvbr0' });
    ipam.info('two');
    net.flush();
    const lines = drain(readFd)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ level, src, msg, bridge }) => [level, src, msg, bridge]),
      [
        [40, 'net', 'one', 'pvbr0'],
        [30, 'ipam', 'two', undefined],
      ],
    );
    closeSync(readFd);
  });

  it('writes to a plain file too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-logger-'));
    const { readFd, writeFd } = pipe2NonBlocking();
    const path = JSON.stringify(join(folder, 'log'));
    const child = runLogger(
      `import { openSync } from 'node:fs'; createLogger('x', openSync(${path}, 'a')).info('hello');`,
      writeFd,
    );
    await once(child, 'exit');
    assert.match(readFileSync(join(folder, 'log'), 'utf8'), /"msg":"hello"\}\n$/);
    rmSync(folder, { recursive: true });
    for (const fd of [readFd, writeFd]) closeSync(fd);
  });

  it('says the same from a bundle, which has half of pino, and lives with what goes in circles', async () => {
    const program = `const log = createLogger('told');
      log.info('fields', { nested: { list: [1, 'two', null] }, text: 'a "quoted" one', missing: undefined });
      log.error('an error', { err: new RangeError('too far', { cause: new Error('why') }) });
      const circle = { name: 'round' };
      circle.self = circle;
      log.warn('circle', { circle });
      log.info('after');
      log.flush();`;
    const folder = mkdtempSync(join(tmpdir(), 'berth-logger-'));
    try {
      const source = join(folder, 'program.ts');
      writeFileSync(source, `import { createLogger } from ${LOGGER}; ${program}`);
      const { entryPoints: _, ...options } = await bundleOptions();
      await build({ ...options, entryPoints: [source], outdir: folder });
      const [whole, bundled] = [['--import', 'tsx', source], [join(folder, 'program.js')]].map((args) => {
        const cwd = join(import.meta.dirname, '../..');
        const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd });
        assert.equal(stderr, '');
        return stdout
          .trim()
          .split('\n')
          .map((line) => ({ ...JSON.parse(line), time: 0 }));
      });
      const withoutStack = (lines: typeof whole) =>
        JSON.stringify(lines, (key, value) => (key === 'stack' ? '' : value));
      const isRound = ({ msg }: { readonly msg: string }): boolean => msg === 'circle';
      assert.equal(bundled?.length, 4);
      assert.equal(
        withoutStack(bundled?.filter((line) => !isRound(line))),
        withoutStack(whole?.filter((line) => !isRound(line))),
      );
      assert.match(JSON.stringify(bundled?.find(isRound)), /circular/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
