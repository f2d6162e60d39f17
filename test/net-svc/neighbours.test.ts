import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { ensureBridges } from '../../services/net-svc/bridges.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { createUndo } from '../../services/net-svc/net-failure.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { NO_NOTES } from './bare-host.ts';
import { internal, leaseOf, link, reaches, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
mkdirSync(dir, { recursive: true });
const namespaces = openNamespaces(dir);
ensureBridges([internal], createUndo(), NO_NOTES);
const neighbour = `${dir}/neighbour`;
attach(namespaces, 'neighbour', [leaseOf(internal, 'neighbour', 9)]);

/** The MAC that is believed to have the address. */
const believed = (address: string, netns = ''): string | undefined =>
  /lladdr (\S+)/.exec(run(['ip', 'neigh', 'show', address], netns))?.[1];

describe('an address that moves to another MAC', () => {
  it('is announced: the host and the neighbours that knew it reach it', async (test) => {
    for (let round = 1; round <= 9; round++) {
      const mac = `02:00:00:00:00:0${round}`;
      const container = `mover${round}`;
      attach(namespaces, container, [{ ...leaseOf(internal, container, 2), mac }]);
      const start = performance.now();
      const isKnown = (): boolean => believed('10.0.5.2') === mac && believed('10.0.5.2', neighbour) === mac;
      if (round > 1) await eventually('the announcement is heard', PATIENCE_MS, isKnown);
      test.diagnostic(`${Math.round(performance.now() - start)} ms`);
      assert.ok(reaches('10.0.5.2', neighbour));
      assert.ok(reaches('10.0.5.9', `${dir}/${container}`));
      assert.ok(reaches('10.0.5.2', ''));
      assert.equal(believed('10.0.5.2'), mac);
      assert.equal(believed('10.0.5.2', neighbour), mac);
      detach(namespaces, container);
    }
  });
});

describe('the MAC of a bridge', () => {
  it('is the same through 100 containers that come and go', () => {
    const index = link('pvbr0')?.ifindex;
    const same = (): void => {
      const { address, ifindex } = link('pvbr0') ?? {};
      assert.deepEqual({ address, ifindex }, { address: '02:00:0a:00:05:01', ifindex: index });
    };
    for (let round = 0; round < 100; round++) {
      attach(namespaces, `churn${round}`, [leaseOf(internal, `churn${round}`, 10 + round)]);
      same();
      if (round >= 3) detach(namespaces, `churn${round - 3}`);
      same();
    }
  });
});
