import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { bridgeMac, detachedName, hostInterfaceName } from '../../services/net-svc/link-names.ts';

const RULES = readFileSync(join(import.meta.dirname, '..', '..', 'scripts', 'host', '85-berth-network.rules'), 'utf8');

/** The pattern of `key==` in the line with `word`, as a regular expression: udev's `?` and `*` are a shell's, and `|` stands between patterns. */
function pattern(word: string, key: string): RegExp {
  const line = RULES.split('\n').find((text) => text.includes(word)) ?? '';
  const [, glob = ''] = line.match(new RegExp(`${key}=="([^"]*)"`)) ?? [];
  return new RegExp(`^(?:${glob.replaceAll('?', '.').replaceAll('*', '.*')})$`);
}

describe('the udev rules for hosts', () => {
  it('mark the links that we make', () => {
    const name = pattern('KERNEL=="veth', 'KERNEL');
    assert.match(hostInterfaceName('web', 'eth0'), name);
    assert.match(hostInterfaceName('a-very-long-name-of-a-container', 'lab0'), name);
    assert.match(detachedName(4_711), name);
    // Of an earlier version, until net-svc has given it another one.
    assert.match('vbducistqkf2zun', name);
    assert.match(bridgeMac('10.0.5.1'), pattern('DEVTYPE', 'ATTR{address}'));
    // Of Docker, LXC, CNI, systemd-nspawn.
    for (const other of ['veth1a2b3c4', 'veth57oyvT', 'veth1a2b3c4d', 'vb-machine']) assert.doesNotMatch(other, name);
    assert.equal(RULES.match(/ENV\{NM_UNMANAGED\}="1", ENV\{ID_NET_MANAGED_BY\}="berth"/g)?.length, 2);
  });
});
