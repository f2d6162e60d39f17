import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withHost } from '../../services/net-svc/host-links.ts';
import { NetFailure } from '../../services/net-svc/net-failure.ts';
import type { Step } from '../../services/net-svc/netlink-message.ts';
import { changeLink, deleteLink } from '../../services/net-svc/rtnetlink-link.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { link } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const LOOPBACK = 1;
const NOBODY = 9_999;
const marks = (alias: string): Step => ({ step: `mark ${alias}`, message: changeLink(LOOPBACK, { alias }) });
const fails = (step: string): Step => ({ step, message: deleteLink(NOBODY) });
const failsAt = (step: string) => (error: unknown) =>
  error instanceof NetFailure && error.step === step && error.reason.includes('ENODEV');

describe('several changes in one datagram', () => {
  const orders = [
    { what: 'the first', steps: [fails('a'), marks('b'), marks('c')], failed: 'a', alias: 'c' },
    { what: 'one in the middle', steps: [marks('d'), fails('e'), marks('f')], failed: 'e', alias: 'f' },
    { what: 'the last', steps: [marks('g'), fails('h')], failed: 'h', alias: 'g' },
    { what: 'more than one', steps: [fails('i'), marks('j'), fails('k')], failed: 'i', alias: 'j' },
  ];
  for (const { what, steps, failed, alias } of orders) {
    it(`are all tried, and the first that failed is named, when the kernel refuses ${what}`, () => {
      withHost((host) => {
        assert.throws(() => host.apply(steps), failsAt(failed));
        assert.equal(link('lo')?.ifalias, alias);
        // No answer is left over that the next change would take for its own.
        host.apply([marks('after')]);
        assert.throws(() => host.apply([fails('last')]), failsAt('last'));
        assert.equal(link('lo')?.ifalias, 'after');
      });
    });
  }
});
