// Stops a device in the middle of the rewrite of its lease journal: the snapshot is written beside the journal, and not yet in its place.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { output, type Target } from './target.ts';

interface FrozenRewrite {
  /** Resolves with what is on the disk when it is stopped; rejects when it could not be. */
  readonly stopped: Promise<string>;
}

/**
 * Looks for the snapshot without a rest, as it is there for no longer than the disk takes for a sync, and stops whoever writes it; before
 * that the supervisor, which would end a service that is stopped. `$0`: the journal. Gives up after some seconds.
 */
const WATCH = `
writer=$(pgrep -f 'ipam-svc[.]js' | head -n 1)
supervisor=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$writer/status")
[ "$supervisor" -gt 1 ] || exit 1
echo watches
looks=0
until [ -e "$0.new" ]; do
  looks=$((looks + 1))
  [ "$looks" -lt 20000000 ] || exit 1
done
kill -STOP "$supervisor" "$writer"
echo "stopped $({ wc -c <"$0.new"; } 2>/dev/null || echo gone) $(wc -c <"$0")"
exec sleep 1000
`;

/** Resolves when it watches. */
export async function freezeRewrite(target: Target): Promise<FrozenRewrite> {
  const journal = join(target.storage, 'ipam/leases.journal');
  const before = Number((await output(target, ['stat', '-c', '%s', journal])).trim());
  const child = target.start(['sh', '-c', WATCH, journal]);
  assert.ok(child.stdout !== null);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const heard = async (): Promise<string> => {
    const { value } = await Promise.race([
      lines.next(),
      once(child, 'exit').then(([status]) => assert.fail(`the watch over ${journal} ended with ${status}`)),
    ]);
    return String(value);
  };
  assert.equal(await heard(), 'watches');
  const stopped = heard().then((line) => {
    const [word, snapshot, old] = line.split(' ');
    assert.equal(word, 'stopped', `the rewrite of ${journal} went by: ${line}`);
    // This watch had no processor between the two: nobody promises it one.
    if (snapshot === 'gone') return `right behind the rewrite of a journal of ${before} bytes into one of ${old}`;
    // Of no byte yet, where it was stopped between open(2) and write(2).
    assert.ok(Number(snapshot) < Number(old), `no snapshot of a journal: ${line}`);
    assert.equal(Number(old), before, 'the journal was written to');
    return `a snapshot of ${snapshot} bytes beside a journal of ${old}`;
  });
  // Whoever waits for it comes later.
  stopped.catch(() => undefined);
  // The watch ends with the power.
  return { stopped };
}
