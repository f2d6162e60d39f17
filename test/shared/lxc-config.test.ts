import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bakedLinks } from '../../shared/lxc-config/baked-links.ts';
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

  const includeProblems = (text: string, files: Readonly<Record<string, string>>) =>
    parseLxcConfig(text, 'app/conf', (path) => files[path]).problems.map(
      ({ source, line, reason }) => `${source}:${line} ${reason}`,
    );

  it('names file and line of an include that is missing, also inside another', () => {
    assert.deepEqual(includeProblems('\nlxc.include = a', { a: 'lxc.x = 1\nlxc.include = sub/./b' }), [
      'a:2 lxc.include = sub/./b: no such file in the container’s own folder',
    ]);
    assert.deepEqual(includeProblems('lxc.include = sub/b', { 'sub/b': 'lxc.x = 1' }), []);
  });

  it('lets no include lead out of the container’s folder', () => {
    for (const path of ['/etc/lxc/common.conf', '../other/conf', 'a/../../b', '.', '']) {
      assert.match(includeProblems(`lxc.include = ${path}`, { [path]: '' })[0] ?? '', /leads out/, path);
    }
  });

  it('names the way of a cycle, and reads a file twice that is none', () => {
    const [cycle, ...more] = includeProblems('lxc.include = a', { a: 'lxc.include = b', b: '\nlxc.include = a' });
    assert.match(cycle ?? '', /^b:2 lxc\.include = a: it includes itself, a → b → a; /);
    assert.deepEqual(more, []);
    assert.match(includeProblems('lxc.include = a', { a: 'lxc.include = conf' })[0] ?? '', /^a:1 .*a → conf;/);
    assert.deepEqual(includeProblems('lxc.include = a\nlxc.include = a', { a: 'lxc.x = 1' }), []);
  });

  it('bounds includes that multiply', () => {
    const twice = Object.fromEntries(
      [...'abcdefgh'].map((name, at, all) => [name, `lxc.include = ${all[at + 1]}\n`.repeat(2)]),
    );
    assert.ok(includeProblems('lxc.include = a', twice).some((problem) => problem.includes('more than 32 includes')));
  });

  it('ends lines where LXC does, and takes for blanks what LXC does', () => {
    assert.deepEqual(pairs('lxc.a = 1\rlxc.b = 2\r\n\tlxc.c = \u00a03\v'), [
      ['lxc.a', '1'],
      ['lxc.b', '2'],
      ['lxc.c', '\u00a03\v'],
    ]);
  });

  it('takes one pair of quotes away, and no other', () => {
    assert.deepEqual(
      pairs('lxc.a = " x "\nlxc.a = \'y"\nlxc.a = "\nlxc.a = ""z""\nlxc.a = ""').map(([, text]) => text),
      [' x ', '\'y"', '"', '"z"', ''],
    );
  });

  it('says where LXC would skip a line or stop reading', () => {
    const reasons = (text: string) =>
      parseLxcConfig(text, 'conf').problems.map(({ line, reason }) => `${line} ${reason}`);
    assert.match(reasons('\ufefflxc.a = 1')[0] ?? '', /^1 starts with the invisible character U\+FEFF/);
    assert.match(reasons('lxc.a = 1\n# \0\nlxc.b')[0] ?? '', /^2 holds a NUL character/);
    assert.equal(reasons('lxc.a = 1\n# \0\nlxc.b').length, 1);
  });

  it('takes the lines of a file of mounts for entries that come first and stay', () => {
    const files = { 'etc/fstab': '# none\n\n /a\\040b x none bind 0 0 \r\n\tproc proc\n' };
    const read = (text: string) => {
      const { entries, problems } = parseLxcConfig(
        text,
        'conf',
        (path) => Object.entries(files).find(([name]) => name === path)?.[1],
      );
      assert.deepEqual(problems, []);
      return entries.map(({ key, value, source, line }) => `${source}:${line} ${key} = ${value}`);
    };
    const its = ['etc/fstab:3 lxc.mount.entry = /a\\040b x none bind 0 0', 'etc/fstab:4 lxc.mount.entry = proc proc'];
    assert.deepEqual(read('lxc.mount.entry = e\nlxc.mount.fstab = none\nlxc.mount.fstab = etc/fstab\nlxc.a = 1'), [
      ...its,
      'conf:1 lxc.mount.entry = e',
      'conf:4 lxc.a = 1',
    ]);
    assert.deepEqual(read('lxc.mount.fstab = etc/fstab\nlxc.mount.entry = e\nlxc.mount.entry ='), [
      'conf:2 lxc.mount.entry = e',
      'conf:3 lxc.mount.entry = ',
      ...its,
    ]);
    assert.deepEqual(read('lxc.mount.fstab = etc/fstab\nlxc.mount.fstab ='), []);
    // Whose host this is not cannot know.
    assert.deepEqual(read('lxc.mount.fstab = /etc/fstab'), []);
  });

  it('passes over mounts that are comments', () => {
    const mounts = (...values: readonly string[]) =>
      parseLxcConfig(values.map((value) => `lxc.mount.entry = ${value}\n`).join(''), 'conf').entries.map(
        ({ value }) => value,
      );
    assert.deepEqual(mounts('#/x dev none bind,create=dir', 'a b c', '"\t# a pantavisor c"', '/a#b c d', ''), [
      'a b c',
      '/a#b c d',
      '',
    ]);
  });

  it('says which file of mounts it has not, and where one says what cannot be', () => {
    const files = { f: 'a b c\nd\re f', many: 'a b c\n'.repeat(10_000) };
    const reasons = (path: string) =>
      parseLxcConfig(
        `lxc.a = 1\nlxc.mount.fstab = ${path}`,
        'conf',
        (name) => Object.entries(files).find(([each]) => each === name)?.[1],
        () => undefined,
      ).problems.map(({ source, line, reason }) => `${source}:${line} ${reason}`);
    assert.deepEqual(reasons('f'), ['f:2 holds a NUL character or a carriage return: remove it']);
    assert.deepEqual(reasons('g'), ['conf:2 lxc.mount.fstab = g: no such file in the container’s own folder']);
    assert.match(reasons('../f')[0] ?? '', /^conf:2 lxc\.mount\.fstab = \.\.\/f: leads out of the container/);
    assert.match(reasons('/f')[0] ?? '', /^conf:2 .*: this host has no such file/);
    assert.match(reasons('many')[0] ?? '', /^conf:2 .*: with it there are more than 10000 lines/);
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
        for (const { key, line } of parseLxcConfig(text, 'conf', () => undefined).entries) {
          assert.ok(key.startsWith('lxc.'));
          assert.ok(text.split('\n')[line - 1]?.includes(key));
        }
      }),
    );
  });

  it('writes what it has read as the same configuration', () => {
    const line = fc.stringMatching(
      /^[ \t]{0,2}(?:lxc\.[ab.]{1,4}|#|x)[ \t]?(?:=[ \t]{0,2}["' \t=#x\v\u00a0]{0,6})?\r?$/,
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const read = pairs(lines.join('\n'));
        const again = pairs(formatLxcConfig(read.map(([key = '', text = '']) => ({ key, value: text }))));
        assert.deepEqual(again, read);
      }),
    );
  });

  it('refuses to write a line break', () => {
    assert.throws(() => formatLxcConfig([{ key: 'lxc.a', value: 'x\nlxc.hook.start = /bad' }]));
  });
});

describe('lxcConfig.bakedLinks', () => {
  const links = (...lines: readonly string[]) =>
    bakedLinks(parseLxcConfig(lines.join('\n'), 'conf').entries).map(({ link, line }) => `${line} ${link}`);
  const VETH = 'lxc.net.0.type = veth';

  it('are of veth interfaces, in whatever order their lines come', () => {
    assert.deepEqual(links(VETH, 'lxc.net.0.link = br0', 'lxc.net.7.link = br7', 'lxc.net.7.type = veth'), [
      '2 br0',
      '3 br7',
    ]);
    for (const type of ['macvlan', 'phys', 'none', 'empty', ''])
      assert.deepEqual(links(`lxc.net.0.type = ${type}`, 'lxc.net.0.link = eth0'), []);
    assert.deepEqual(links(VETH, 'lxc.net.0.name = eth0', 'lxc.net.0.veth.pair = x'), []);
  });

  it('are those that hold at the end', () => {
    assert.deepEqual(links(VETH, 'lxc.net.0.link = br0', 'lxc.net.0.link = br1'), ['3 br1']);
    for (const clearing of ['lxc.net =', 'lxc.net.0 =', 'lxc.net.0.link =', 'lxc.net.0.type ='])
      assert.deepEqual(links(VETH, 'lxc.net.0.link = br0', clearing), [], clearing);
    assert.deepEqual(links('lxc.net.1.type = veth', 'lxc.net.1.link = br0', 'lxc.net.0 ='), ['2 br0']);
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
