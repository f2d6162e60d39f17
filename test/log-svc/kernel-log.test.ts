import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createKernelLog, parseKernelRecord } from '../../services/log-svc/kernel-log.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { holdKernelLog } from '../../services/supervisor/held-kernel-log.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

describe('log-svc.kernelLog', () => {
  it('takes a record apart, its level from the priority, without what belongs to devices', () => {
    const record = '30,1234,5326145019,-,caller=T1;usb 1-1: caf\\xc3\\xa9 \\x1b[0m\n SUBSYSTEM=usb\n DEVICE=+usb:1-1\n';
    assert.deepEqual(parseKernelRecord(record), {
      sequence: 1234,
      level: 'INFO',
      microseconds: 5326145019,
      text: 'usb 1-1: café \\x1b[0m',
    });
    assert.equal(parseKernelRecord('2,1,2,-;x')?.level, 'ERROR');
    assert.equal(parseKernelRecord('nonsense'), undefined);
  });

  it('hands on what the kernel says, each once, also over a restart, dated by the boot', async () => {
    const mark = `berth test ${process.pid} ${performance.now()}`;
    const { seen, start } = lives();
    const times = (text: string) => seen.filter((message) => message.text === text).length;
    const first = start();
    try {
      say(`${mark} one`);
      await eventually('the first', PATIENCE_MS, () => times(`${mark} one`) === 1);
    } finally {
      first.stop();
    }
    say(`${mark} two`);
    const second = start();
    try {
      await eventually('the second', PATIENCE_MS, () => times(`${mark} two`) === 1);
      assert.equal(times(`${mark} one`), 1);
      const two = seen.find(({ text }) => text === `${mark} two`);
      assert.deepEqual([two?.src, two?.level, two?.origin.kind], ['dmesg', 'WARN', 'service']);
      assert.ok(Math.abs((two?.timeMs ?? 0) - Date.now()) < 60_000);
      assert.deepEqual(second.troubles(), []);
    } finally {
      second.stop();
    }
  });

  it('hands on again what one that was killed had read, and calls none of it missing', async () => {
    const mark = `berth test ${process.pid} ${performance.now()}`;
    const { seen, start } = lives();
    const count = () => new Set(seen.filter(({ text }) => text.startsWith(mark)).map(({ text }) => text)).size;
    let source = start();
    try {
      say(`${mark} begin`);
      await eventually('the first', PATIENCE_MS, () => count() === 1);
      source.stop();
      // More than a turn.
      for (let at = 0; at < 600; at++) say(`${mark} ${at}`);
      source = start({ killed: true });
      await eventually('a batch that is lost', PATIENCE_MS, () => source.lost() > 0);
      source.stop();
      say(`${mark} end`);
      source = start();
      await eventually('all of it', PATIENCE_MS, () => count() === 602);
      assert.ok(!seen.some(({ text }) => text.includes('it overwrote them')));
    } finally {
      source.stop();
    }
  });
});

/** Each line from an opening of its own: of one the kernel takes ten in five seconds (printk_devkmsg). */
function say(text: string): void {
  writeFileSync('/dev/kmsg', `<4>${text}\n`);
}

/** Sources one after the other, as log-svc has them over its restarts. One that is `killed` reads, and is heard no more. */
function lives() {
  const seen: LogMessage[] = [];
  let sequence: number | undefined;
  const start = ({ killed = false } = {}) => {
    const held = holdKernelLog((reason) => assert.fail(reason));
    assert.ok(held !== undefined);
    let lost = 0;
    const source = createKernelLog({
      fd: held.open(),
      after: sequence,
      onRead(read) {
        if (!killed) sequence = read;
      },
    });
    const messages = (batch: readonly LogMessage[]): void => {
      if (killed) lost += batch.length;
      else seen.push(...batch);
    };
    source.start({ messages, bytes: () => assert.fail() });
    return {
      lost: () => lost,
      troubles: source.troubles,
      stop(): void {
        source.stop();
        held.close();
      },
    };
  };
  return { seen, start };
}
