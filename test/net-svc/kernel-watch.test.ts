// What is listened to where the kernel does not let itself be listened to at first.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type KernelWatch, OPENERS, watchKernel } from '../../services/net-svc/kernel-watch.ts';
import { kernelError } from '../../shared/kernel/libc.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const EMFILE = 24;
const EPROTONOSUPPORT = 93;

/** Rules are refused that many times. */
function watching(refusals: number, errno: number): { readonly watch: KernelWatch; readonly tries: () => number } {
  let tries = 0;
  const openers = {
    ...OPENERS,
    rules: () => {
      tries += 1;
      if (tries <= refusals) throw kernelError(errno, 'socket');
      return OPENERS.rules();
    },
  };
  return { watch: watchKernel(async () => undefined, openers, 10), tries: () => tries };
}

/** Until the area is heard of, whatever else is. */
async function hears(watch: KernelWatch, area: 'rules'): Promise<void> {
  while (!(await watch.next(-1)).has(area));
}

describe('a kernel watch', () => {
  it('has nothing to say of rules where the kernel has no nftables', async () => {
    const { watch } = watching(1, EPROTONOSUPPORT);
    assert.deepEqual(watch.deaf(), []);
    watch.close();
  });

  it('tells what it cannot hear until it can, tries that again by itself, and hears it from then on', async () => {
    const { watch, tries } = watching(3, EMFILE);
    assert.deepEqual(
      watch.deaf().map(({ area }) => area),
      ['rules'],
    );
    await hears(watch, 'rules');
    assert.equal(tries(), 4);
    assert.deepEqual(watch.deaf(), []);
    run(['nft', 'add', 'table', 'ip', 'theirs']);
    await hears(watch, 'rules');
    watch.close();
    run(['nft', 'delete', 'table', 'ip', 'theirs']);
  });
});
