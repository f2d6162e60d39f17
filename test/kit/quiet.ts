// Waits until the kernel has nothing more to tell of what was done to links.
import assert from 'node:assert/strict';
import * as z from 'zod/mini';
import { eventually, PATIENCE_MS } from './eventually.ts';

const links = z.array(z.object({ ifname: z.optional(z.string()), operstate: z.optional(z.string()) }));
const MARK = 'quietmark';

/**
 * Of a carrier the kernel tells up to a second later (net/core/link_watch.c), and also where it is again what it was: a port that left
 * its bridge and came back is told once more when all links are up. What waits is told in its order, whatever namespace it is of: what
 * is told of a bridge of ours that loses its carrier now is told last. `run` runs a command in some network namespace, answers its
 * stdout and throws where it fails.
 */
export async function quiet(run: (command: readonly string[]) => string): Promise<void> {
  const listed = () => links.parse(JSON.parse(run(['ip', '-j', 'link'])));
  const state = (): string | undefined => listed().find(({ ifname }) => ifname === MARK)?.operstate;
  run(['ip', 'link', 'add', MARK, 'type', 'bridge']);
  try {
    run(['ip', 'link', 'set', MARK, 'up']);
    assert.equal(state(), 'UNKNOWN');
    // From here on nobody names the bridge: to answer who asks for one link, the kernel tells of that one out of turn.
    run(['ip', 'link', 'add', `${MARK}0`, 'master', MARK, 'type', 'veth', 'peer', 'name', `${MARK}1`]);
    for (const name of [`${MARK}0`, `${MARK}1`]) run(['ip', 'link', 'set', name, 'up']);
    run(['ip', 'link', 'set', `${MARK}0`, 'down']);
    await eventually('the kernel has told all', PATIENCE_MS, () => state() === 'DOWN');
  } finally {
    for (const { ifname } of listed()) if (ifname === MARK || ifname === `${MARK}0`) run(['ip', 'link', 'del', ifname]);
  }
}
