// Two bridges, and namespaces of containers beside them, none of which is attached when a test begins.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { beforeEach } from 'node:test';
import { ensureBridges, removeStaleBridges } from '../../services/net-svc/bridges.ts';
import { detach } from '../../services/net-svc/detachments.ts';
import { createUndo, NetFailure } from '../../services/net-svc/net-failure.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { NO_NOTES } from './bare-host.ts';
import { internal, lab, links } from './kernel.ts';

/** In namespaces of the test's own. */
export function useNamespaces() {
  const dir = '/run/berth/netns';
  mkdirSync(dir, { recursive: true });
  const namespaces = openNamespaces(dir);
  beforeEach(() => {
    for (const container of readdirSync(dir)) detach(namespaces, container);
    removeStaleBridges([], NO_NOTES);
    ensureBridges([internal, lab], createUndo(), NO_NOTES);
  });
  return {
    dir,
    namespaces,
    netnsOf: (container: string): string => `${dir}/${container}`,
    /** What attach may change on the host's side. */
    hostState: () => ({ links: links().map(({ ifname }) => ifname), namespaces: readdirSync(dir) }),
  };
}

export const failsAt = (step: RegExp, reason: RegExp) => (error: unknown) => {
  assert.ok(error instanceof NetFailure, String(error));
  assert.match(error.step, step);
  assert.match(error.reason, reason);
  return true;
};
