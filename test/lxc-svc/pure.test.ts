import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cgroupSupport } from '../../services/lxc-svc/cgroup-tree.ts';
import { commandSocketNames } from '../../services/lxc-svc/command-socket.ts';
import { firstError, loggedExit, loggedStart } from '../../services/lxc-svc/exit-log.ts';
import { haltSignal } from '../../services/lxc-svc/halt-signal.ts';
import { hostReasons } from '../../services/lxc-svc/host-support.ts';
import { createKeyQueue } from '../../services/lxc-svc/key-queue.ts';
import { isTarget, mountsBelow, parseMountTable } from '../../services/lxc-svc/mount-table.ts';
import { kill } from '../../services/lxc-svc/process-table.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';

const line = (time: string, level: string, message: string): string =>
  `lxc-start a ${time} ${level.padEnd(8)} start - ../src/lxc/start.c:x:464 - ${message}\n`;
const LATE_MS = Date.UTC(2030, 0);
const EXITED = line('20261121025857.227', 'DEBUG', 'Container init process 20 exited');

describe('lxc log', () => {
  it('tells codes, signals and the code 0 that LXC does not mention', () => {
    const atMs = Date.UTC(2026, 10, 21, 2, 58, 57, 227);
    const statusOf = (text: string) => loggedExit(EXITED + text, 20, LATE_MS);
    assert.deepEqual(statusOf(''), { pid: 20, atMs, status: { kind: 'code', code: 0 } });
    const ended = (how: string) => statusOf(line('20261121025857.228', 'INFO', `Child <20> ended on ${how}`));
    assert.deepEqual(ended('error (7)'), { pid: 20, atMs, status: { kind: 'code', code: 7 } });
    assert.deepEqual(ended('signal Killed(9)')?.status, { kind: 'signal', signal: 9 });
    assert.deepEqual(ended('signal User defined signal 1(10)')?.status, { kind: 'signal', signal: 10 });
  });

  it('knows nothing of other pids, and of a monitor that was killed', () => {
    assert.equal(loggedExit(EXITED, 21, LATE_MS), undefined);
    assert.equal(
      loggedExit(line('20261121025857.227', 'NOTICE', 'Started "/bin/app" with pid "20"'), 20, 0),
      undefined,
    );
  });

  it('takes no time for later than the log was written: LXC loses zeros of fractions', () => {
    const writtenMs = Date.UTC(2026, 10, 21, 2, 58, 57, 30);
    assert.equal(loggedExit(EXITED, 20, writtenMs)?.atMs, writtenMs);
  });

  it('tells the pid that was started and the first error', () => {
    const log =
      line('20261121025857.227', 'NOTICE', 'Started "/bin/a b" with pid "20"') +
      line('20261121025857.228', 'ERROR', 'No such file or directory - Failed to exec "/bin/nope"') +
      line('20261121025857.228', 'ERROR', 'Failed to spawn container "a"');
    assert.equal(loggedStart(log), 20);
    assert.equal(firstError(log), 'No such file or directory - Failed to exec "/bin/nope"');
    assert.equal(firstError('nonsense\n'), undefined);
  });
});

describe('lxc halt signal', () => {
  it('takes the configured one, else what the init waits for', () => {
    const { entries } = parseLxcConfig('lxc.signal.halt = SIGTERM\nlxc.signal.halt = SIGINT', 'conf');
    assert.equal(haltSignal(entries, 0n), 2);
    for (const [value, signal] of Object.entries({
      sigterm: 15,
      'sigrtmin+4': 38,
      SIGCLD: 17,
      '010': 8,
      0: 30,
      65: 30,
    }))
      assert.equal(haltSignal([{ key: 'lxc.signal.halt', value, line: 1, source: 'conf' }], 0n), signal, value);
    assert.equal(haltSignal([], 0n), 30);
    assert.equal(haltSignal([], 1n << 36n), 37);
  });

  it('is never sent to a whole group', () => {
    for (const pid of [1, 0, -1, Number.NaN]) assert.throws(() => kill(pid), /refusing/, String(pid));
  });
});

describe('lxc command socket', () => {
  it('is named as LXC names it', () => {
    assert.deepEqual(commandSocketNames('/run/b/lxc', 'a')[0], '/run/b/lxc/a/command');
    const long = `/run/b${'x'.repeat(108)}/lxc`;
    // Seen in /proc/net/unix with LXC 5.0.2.
    assert.deepEqual(commandSocketNames(long, 'a'), ['lxc/5213bec0ee432160/command']);
  });
});

describe('lxc control groups', () => {
  const mount = (target: string, type: string, superOptions: string[] = ['rw']) => ({
    target,
    type,
    source: type,
    superOptions,
  });
  const unified = mount('/sys/fs/cgroup/nowhere', 'cgroup2');

  it('filter devices by version 2 only where nothing of version 1 is mounted, as LXC does', () => {
    const systemd = mount('/sys/fs/cgroup/systemd', 'cgroup', ['rw', 'name=systemd']);
    const devices = mount('/sys/fs/cgroup/devices', 'cgroup', ['rw', 'devices']);
    const versions = (mounts: Parameters<typeof cgroupSupport>[0]) => {
      const { v1, v2 } = cgroupSupport(mounts);
      return [v1.has('devices'), v2.has('devices')];
    };
    assert.deepEqual(versions([unified]), [false, true]);
    assert.deepEqual(versions([unified, systemd]), [false, false]);
    assert.deepEqual(versions([unified, devices]), [true, false]);
    assert.deepEqual(versions([]), [false, false]);
  });
});

describe('lxc host support', () => {
  it('says what is missing', () => {
    const codes = (folders: string[], loop: string) => hostReasons(folders, loop).map(({ code }) => code);
    assert.deepEqual(codes(['/nowhere'], '/nowhere'), ['LXC_MISSING', 'LOOP_MISSING']);
    assert.deepEqual(codes(['/usr/bin'], '/dev/null'), []);
  });
});

describe('lxc mount table', () => {
  it('reads what proc(5) describes, with escaped blanks', () => {
    const text = `36 35 98:0 /mnt1 /mnt\\040a rw,noatime master:1 - ext3 /dev/root rw,errors=continue
42 35 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
nonsense
`;
    assert.deepEqual(parseMountTable(text), [
      { target: '/mnt a', type: 'ext3', source: '/dev/root', superOptions: ['rw', 'errors=continue'] },
      { target: '/sys/fs/cgroup/cpu', type: 'cgroup', source: 'cgroup', superOptions: ['rw', 'cpu'] },
    ]);
  });

  it('is asked for one place as if it were read whole', () => {
    const path = fc.array(fc.constantFrom('a', 'b', ' ', '\\', '\t', '/', 'ab'), { minLength: 1, maxLength: 3 });
    const paths = path.map((parts) => `/${parts.join('')}`);
    const escaped = (text: string): string =>
      text.replace(/[ \t\n\\]/g, (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`);
    fc.assert(
      fc.property(fc.array(fc.record({ root: paths, target: paths })), paths, (mounts, asked) => {
        const lines = mounts.map(
          ({ root, target }) =>
            `36 35 98:0 ${escaped(root)} ${escaped(target)} rw shared:1 - tmpfs ${escaped(root)} rw`,
        );
        const text = `${lines.join('\n')}\n`;
        assert.equal(
          isTarget(text, asked),
          parseMountTable(text).some(({ target }) => target === asked),
        );
        for (const { target } of mounts) assert.ok(isTarget(text, target));
      }),
    );
  });

  it('takes nothing for below that only begins alike', () => {
    const at = (target: string) => ({ target, type: '', source: '', superOptions: [] });
    const mounts = ['/a/b', '/a/b/c', '/a/bc', '/a'].map(at);
    assert.deepEqual(mountsBelow(mounts, '/a/b'), ['/a/b', '/a/b/c'].map(at));
  });
});

describe('lxc queue', () => {
  it('keeps the order of each key, whatever fails', async () => {
    const work = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), fails: fc.boolean(), turns: fc.nat(5) }));
    await fc.assert(
      fc.asyncProperty(work, async (jobs) => {
        const queue = createKeyQueue();
        const begun: number[] = [];
        const running = new Set<string>();
        const results = jobs.map(({ key, fails, turns }, index) =>
          queue.run(key, async () => {
            assert.ok(!running.has(key));
            running.add(key);
            begun.push(index);
            for (let turn = 0; turn < turns; turn += 1) await undefined;
            running.delete(key);
            if (fails) throw new Error('failed');
            return index;
          }),
        );
        const settled = await Promise.allSettled(results);
        assert.deepEqual(
          settled.map(({ status }) => status),
          jobs.map(({ fails }) => (fails ? 'rejected' : 'fulfilled')),
        );
        for (const key of ['a', 'b', 'c']) {
          const order = begun.filter((index) => jobs[index]?.key === key);
          assert.deepEqual(
            order,
            order.toSorted((x, y) => x - y),
          );
        }
      }),
    );
  });
});
