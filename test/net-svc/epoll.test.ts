import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { EPOLLIN, openPoller } from '../../shared/kernel/epoll.ts';
import { KernelError, pipe2 } from '../../shared/kernel/libc.ts';

describe('waiting for descriptors', () => {
  it('ends with the one that is ready, after the timeout, and when it is closed', async () => {
    const [first, second] = [pipe2(0), pipe2(0)];
    const poller = openPoller([first, second].map(({ readFd }) => ({ fd: readFd, events: EPOLLIN })));
    assert.deepEqual(await poller.wait(1), []);
    const waiting = poller.wait(-1);
    writeSync(second.writeFd, 'x');
    assert.deepEqual(await waiting, [second.readFd]);
    closeSync(second.readFd);
    closeSync(second.writeFd);
    const last = poller.wait(-1);
    poller.close();
    assert.deepEqual(await last, []);
    assert.deepEqual(await poller.wait(-1), []);
    closeSync(first.readFd);
    closeSync(first.writeFd);
  });

  it('names what cannot be waited for', () => {
    assert.throws(() => openPoller([{ fd: 9_999, events: EPOLLIN }]), KernelError);
  });

  it('does not keep a process from exiting', async () => {
    const source = join(import.meta.dirname, '..', '..', 'shared', 'kernel', 'epoll.ts');
    const program = `import { openPoller } from ${JSON.stringify(source)};
      void openPoller([]).wait(-1); setTimeout(() => process.exit(3), 50);`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      timeout: 20_000,
      killSignal: 'SIGKILL',
    });
    assert.deepEqual(await once(child, 'exit'), [3, null]);
  });
});
