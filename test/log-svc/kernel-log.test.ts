import assert from 'node:assert/strict';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createKernelLog, parseKernelRecord } from '../../services/log-svc/kernel-log.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
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
    const fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
    const seen: LogMessage[] = [];
    let sequence: number | undefined;
    const start = () => {
      const source = createKernelLog({ fd, after: sequence, onRead: (read) => (sequence = read) });
      source.start({ messages: (batch) => seen.push(...batch), bytes: () => assert.fail() });
      return source;
    };
    const mark = `berth test ${process.pid} ${performance.now()}`;
    const times = (text: string) => seen.filter((message) => message.text === text).length;
    let source = start();
    try {
      writeFileSync('/dev/kmsg', `<4>${mark} one\n`);
      await eventually('the first', PATIENCE_MS, () => times(`${mark} one`) === 1);
      source.stop();
      writeFileSync('/dev/kmsg', `<4>${mark} two\n`);
      source = start();
      await eventually('the second', PATIENCE_MS, () => times(`${mark} two`) === 1);
      assert.equal(times(`${mark} one`), 1);
      const two = seen.find(({ text }) => text === `${mark} two`);
      assert.deepEqual([two?.src, two?.level, two?.origin.kind], ['dmesg', 'WARN', 'service']);
      assert.ok(Math.abs((two?.timeMs ?? 0) - Date.now()) < 60_000);
      assert.deepEqual(source.troubles(), []);
    } finally {
      source.stop();
      closeSync(fd);
    }
  });
});
