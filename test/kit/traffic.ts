// A ping that runs while something is broken on purpose, and counts what it lost.
import { text } from 'node:stream/consumers';
import { eventually } from './eventually.ts';
import { PATIENCE_MS, type Tree } from './tree.ts';

export interface Ping {
  /** Resolves when it is in the container's network namespace, whose file it needs no longer then. */
  entered(): Promise<void>;
  /** Ends it; answers how many packets were sent, up to the last one that came back, and how many of these came back. */
  stop(): Promise<{ readonly sent: number; readonly received: number }>;
}

/** A break of the path of 10 ms shows. */
const INTERVAL_SECONDS = '0.01';
/** A tenth of a second's: a path that is broken at the end shows as well. */
const MAX_UNDER_WAY = 10;
/** Ends by itself, whatever happens to the test. */
const MAX_PACKETS = '12000';

/** Pings `address` from the network namespace of `container`. */
export function startPing(tree: Tree, container: string, address: string): Ping {
  const child = tree.spawnInside([
    'nsenter',
    `--net=${tree.rundir}/netns/${container}`,
    'busybox',
    'ping',
    '-i',
    INTERVAL_SECONDS,
    '-c',
    MAX_PACKETS,
    '-W',
    '1',
    address,
  ]);
  if (child.stdout === null) throw new Error('ping has no output');
  const output = text(child.stdout);
  // From the start: one that never got into its namespace has ended before anybody asks.
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    async entered() {
      // Its first line waits in a buffer; its name changes when nsenter(1) is done.
      await eventually('ping runs', PATIENCE_MS, () => tree.inside(['pgrep', '-f', '^busybox ping']).status === 0);
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) tree.sandbox.signal(child, 'SIGINT');
      await exited;
      const [, sent] = /(\d+) packets transmitted/.exec(await output) ?? [];
      if (sent === undefined) throw new Error(`ping said: ${await output}`);
      const answered = new Set([...(await output).matchAll(/ seq=(\d+) /g)].map(([, number]) => Number(number)));
      const upTo = Math.max(...answered) + 1;
      // The last ones may be on their way when the signal comes; a machine that is busy elsewhere sends some at once.
      if (answered.size === 0 || Number(sent) - upTo > MAX_UNDER_WAY)
        return { sent: Number(sent), received: answered.size };
      return { sent: upTo, received: answered.size };
    },
  };
}
