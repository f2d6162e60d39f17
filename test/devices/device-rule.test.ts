// Lines of mdev.conf: what they ask for of a device, and what of them is told instead of done.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type DeviceFacts, nodesOf, readDeviceRule } from '../../shared/devices/device-rule.ts';

const FACTS: Readonly<Record<string, string>> = {
  SUBSYSTEM: 'tty',
  DEVPATH: '/devices/platform/usb1/1-1/1-1.3/1-1.3:1.0/ttyUSB0/tty/ttyUSB0',
};
const device = (name: string, major = 188, minor = 0): DeviceFacts => ({
  name,
  major,
  minor,
  factOf: (of) => FACTS[of],
});
/** `path mode uid:gid`, with what links to it. */
const nodes = (lines: readonly string[], of: DeviceFacts): string[] => {
  const rules = lines.flatMap((line) => readDeviceRule(line).rule ?? assert.fail(readDeviceRule(line).complaint));
  return nodesOf(rules, of).map(({ path, mode, uid, gid, link }) =>
    [path, mode.toString(8), `${uid}:${gid}`, ...(link === undefined ? [] : [`<- ${link}`])].join(' '),
  );
};
const complaint = (line: string): string => readDeviceRule(line).complaint ?? '';

describe('device rules', () => {
  it('give a device its owner and mode by the first that matches its whole name', () => {
    const rules = ['ttyUSB[0-9]+ 0:20 660', 'tty 1:1 600', '.* root:root 666'];
    assert.deepEqual(nodes(rules, device('ttyUSB0')), ['ttyUSB0 660 0:20']);
    assert.deepEqual(nodes(rules, device('input/event0')), ['input/event0 666 0:0']);
    assert.deepEqual(nodes(['sda 5 0644'], device('sda')), ['sda 644 5:5']);
  });

  it('leave to root what no rule names', () => {
    assert.deepEqual(nodes([], device('sda')), ['sda 660 0:0']);
  });

  it('move it, link to it, or leave it out', () => {
    assert.deepEqual(nodes(['ttyUSB0 0:0 660 =serial/'], device('ttyUSB0')), ['serial/ttyUSB0 660 0:0']);
    assert.deepEqual(nodes(['tty(USB)([0-9]) 0:0 660 >%2/x%1'], device('ttyUSB0')), ['0/xUSB 660 0:0 <- ttyUSB0']);
    assert.deepEqual(nodes(['ttyUSB0 0:0 660 !'], device('ttyUSB0')), []);
  });

  it('go on behind a minus', () => {
    assert.deepEqual(nodes(['-tty.* 0:0 600 =a', 'ttyUSB0 0:0 640', '.* 0:0 666'], device('ttyUSB0')), [
      'a 600 0:0',
      'ttyUSB0 640 0:0',
    ]);
  });

  it('match by number and by what the kernel tells', () => {
    assert.deepEqual(nodes(['@188,0-3 0:0 600', '.* 0:0 666'], device('x', 188, 3)), ['x 600 0:0']);
    assert.deepEqual(nodes(['@188,0 0:0 600', '.* 0:0 666'], device('x', 188, 3)), ['x 666 0:0']);
    assert.deepEqual(nodes(['$SUBSYSTEM=tty 0:0 600', '.* 0:0 666'], device('x')), ['x 600 0:0']);
    const rules = ['DEVPATH=1-1\\.3;SUBSYSTEM=^tty$;ttyUSB[0-9]+ 0:0 0660 >ttyDUT', '.* 0:0 666'];
    assert.deepEqual(nodes(rules, device('ttyUSB0')), ['ttyDUT 660 0:0 <- ttyUSB0']);
    assert.deepEqual(nodes([`NONE=x;${rules[0]}`, '.* 0:0 666'], device('ttyUSB0')), ['ttyUSB0 666 0:0']);
  });

  it('run no commands, and make their nodes all the same', () => {
    assert.match(complaint('sd.* 0:0 660 */bin/run me'), /'\*\/bin\/run me', which is not run/);
    assert.match(complaint('sd.* 0:0 660 >disk/ @x'), /command/);
    assert.deepEqual(nodes(['sda 0:0 600 @x'], device('sda')), ['sda 600 0:0']);
  });

  it('are left out with a reason where they mean nothing', () => {
    const bad = ['x', 'x 0:0', '( 0:0 660', 'x disk:disk 660', 'x 0:0 u+rw', 'x 0:0 660 rest', 'x 0:0 99999'];
    const ways = [
      'x 0:0 660 =../y',
      'x 0:0 660 =/etc/y',
      'x 0:0 660 >',
      '@1 0:0 660',
      '$X 0:0 660',
      'x 4294967295:0 660',
    ];
    for (const line of [...bad, ...ways]) {
      assert.equal(readDeviceRule(line).rule, undefined, line);
      assert.match(complaint(line), /it is left out$/, line);
    }
    for (const line of ['', '# said', '  '])
      assert.deepEqual(readDeviceRule(line), { rule: undefined, complaint: undefined });
  });

  it('lead nowhere but below /dev, whatever a device is called', () => {
    const part = fc.constantFrom('..', '.', '', 'a', 'sd');
    const path = fc.array(part, { maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(path, fc.constantFrom('=', '>'), path, (name, sign, to) => {
        const { rule } = readDeviceRule(`(.*) 0:0 660 ${sign}x/%1/${to}`);
        for (const node of nodesOf(rule === undefined ? [] : [rule], device(name))) {
          for (const each of [node.path, node.link ?? 'x']) {
            assert.ok(
              each.split('/').every((piece) => !['', '.', '..'].includes(piece)),
              each,
            );
          }
        }
      }),
    );
  });

  it('are read whatever is written', () => {
    fc.assert(fc.property(fc.string(), (line) => void readDeviceRule(line)));
  });
});
