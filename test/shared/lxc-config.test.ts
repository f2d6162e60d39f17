import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { legacyAddresses } from '../../shared/lxc-config/legacy-addresses.ts';
import { formatLxcConfig, parseLxcConfig } from '../../shared/lxc-config/parse.ts';

const pairs = (text: string) => parseLxcConfig(text, 'conf').entries.map(({ key, value }) => [key, value]);

describe('lxcConfig.parse', () => {
  it('reads keys and values whatever the blanks around them', () => {
    assert.deepEqual(pairs('  lxc.uts.name=a\nlxc.tty.max \t=  4  \r\nlxc.init.cmd = /sbin/init --x=y # z'), [
      ['lxc.uts.name', 'a'],
      ['lxc.tty.max', '4'],
      ['lxc.init.cmd', '/sbin/init --x=y # z'],
    ]);
  });

  it('skips comments, empty lines and keys that are not LXC’s', () => {
    assert.deepEqual(pairs('# lxc.uts.name = a\n\n  #lxc.uts.name = b\nfoo = bar\npv.x = 1'), []);
  });

  it('keeps repeated and clearing lines in order, with their numbers', () => {
    const { entries } = parseLxcConfig('lxc.cap.drop = a\n\nlxc.cap.drop =\nlxc.cap.drop = "b c"', 'conf');
    assert.deepEqual(
      entries.map(({ value, line, source }) => [value, line, source]),
      [
        ['a', 1, 'conf'],
        ['', 3, 'conf'],
        ['b c', 4, 'conf'],
      ],
    );
  });

  it('names the line without an equals sign', () => {
    assert.deepEqual(
      parseLxcConfig('lxc.uts.name = a\nlxc.nonsense', 'conf').problems.map(({ line, source }) => [line, source]),
      [[2, 'conf']],
    );
  });

  it('puts an included file where its include stood', () => {
    const { entries, problems } = parseLxcConfig('lxc.a = 1\nlxc.include = more\nlxc.c = 3', 'conf', (path) =>
      path === 'more' ? 'lxc.b = 2' : undefined,
    );
    assert.deepEqual(
      entries.map(({ key, line, source }) => `${source}:${line} ${key}`),
      ['conf:1 lxc.a', 'more:1 lxc.b', 'conf:3 lxc.c'],
    );
    assert.deepEqual(problems, []);
  });

  it('reports an include that cannot be read, and one that includes itself', () => {
    assert.equal(parseLxcConfig('lxc.include = /etc/x', 'conf').problems[0]?.line, 1);
    const { problems } = parseLxcConfig('lxc.include = a', 'conf', () => 'lxc.include = a');
    assert.match(problems[0]?.reason ?? '', /more than 32 includes/);
    assert.equal(problems.length, 1);
  });

  it('reads back what it writes', () => {
    const value = fc.string({ unit: 'grapheme-ascii' });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('lxc.a', 'lxc.b.0.c'), value)), (written) => {
        assert.deepEqual(pairs(formatLxcConfig(written.map(([key, text]) => ({ key, value: text })))), written);
      }),
    );
  });

  it('never throws and never invents entries', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { key, line } of parseLxcConfig(text, 'conf').entries) {
          assert.ok(key.startsWith('lxc.'));
          assert.ok(text.split('\n')[line - 1]?.includes(key));
        }
      }),
    );
  });

  it('refuses to write a line break', () => {
    assert.throws(() => formatLxcConfig([{ key: 'lxc.a', value: 'x\nlxc.hook.start = /bad' }]));
  });
});

describe('lxcConfig.legacyAddresses', () => {
  const addresses = (text: string) =>
    legacyAddresses(parseLxcConfig(text, 'conf').entries).map(({ interfaceIndex, address, prefixLength, line }) => [
      interfaceIndex,
      address,
      prefixLength,
      line,
    ]);

  it('finds addresses with and without prefix', () => {
    assert.deepEqual(
      addresses(
        'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.0.3.7/24\nlxc.net.12.ipv4.address = 10.0.4.8 10.0.4.255',
      ),
      [
        [0, '10.0.3.7', 24, 2],
        [12, '10.0.4.8', undefined, 3],
      ],
    );
  });

  it('passes over auto, dhcp and what is no address', () => {
    const bad = ['auto', 'dhcp', '', '10.0.3', '10.0.3.256', '10.0.3.2/33', '10.0.3.2/x'];
    assert.deepEqual(addresses(bad.map((value) => `lxc.net.0.ipv4.address = ${value}`).join('\n')), []);
    assert.deepEqual(addresses('lxc.net.0.ipv4.gateway = 10.0.3.1'), []);
  });

  it('forgets what a later line clears', () => {
    const two = 'lxc.net.0.ipv4.address = 10.0.3.7/24\nlxc.net.1.ipv4.address = 10.0.3.8/24\n';
    assert.deepEqual(addresses(`${two}lxc.net.1.ipv4.address =`), [[0, '10.0.3.7', 24, 1]]);
    assert.deepEqual(addresses(`${two}lxc.net.0 =`), [[1, '10.0.3.8', 24, 2]]);
    assert.deepEqual(addresses(`${two}lxc.net =`), []);
  });
});
