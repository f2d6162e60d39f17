// Parameters of the kernel from the configuration, written into a folder that stands for /proc/sys.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeSysctls } from '../../services/supervisor/sysctls.ts';
import { readConfigText, readEnvironment } from '../../shared/config/config-file.ts';

describe('supervisor.sysctls', () => {
  let root: string;
  let warnings: string[];
  const FILES = ['kernel/core_pattern', 'net/ipv4/conf/br-lan/rp_filter', 'net/ipv4/ip_forward', 'vm/swappiness'];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'berth-sysctls-'));
    warnings = [];
    for (const file of FILES) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), '');
    }
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const write = (text: string, env = {}): void => {
    const { sysctls, problems, notes } = readConfigText(text, 'c');
    assert.deepEqual([problems, notes], [[], []]);
    writeSysctls([...sysctls, ...readEnvironment(env).sysctls], (line) => warnings.push(line), root);
  };
  const held = (): readonly string[] => FILES.map((file) => readFileSync(join(root, file), 'utf8').trim());

  it('are written by either of their names, whatever their parts have in them', () => {
    write('sysctl.net.ipv4.ip_forward=1\nPV_SYSCTL_KERNEL_CORE_PATTERN=|/bin/true --x\npv_sysctl_vm_swappiness = 10', {
      'PV_SYSCTL_NET_IPV4_CONF_BR-LAN_RP_FILTER': '2',
    });
    assert.deepEqual(held(), ['|/bin/true --x', '2', '1', '10']);
    assert.deepEqual(warnings, []);
  });

  it('are written in their order, the environment last', () => {
    write('sysctl.vm.swappiness=1\nsysctl.vm.swappiness=2', { PV_SYSCTL_VM_SWAPPINESS: '3' });
    assert.equal(held()[3], '3');
  });

  it('are told where there is none of that name, and the rest is written', () => {
    write('sysctl.vm.nothing=1\nPV_SYSCTL_VM=1\nsysctl.vm.swappiness=10');
    assert.equal(held()[3], '10');
    assert.deepEqual(readdirSync(join(root, 'vm')), ['swappiness']);
    assert.match(warnings.join('\n'), /^sysctl\.vm\.nothing cannot be set to '1': ENOENT.*\nPV_SYSCTL_VM .*EISDIR/);
  });

  it('are none by names that lead elsewhere', () => {
    const { sysctls, notes } = readConfigText('sysctl./../x=1\nsysctl...x=1\nPV_SYSCTL_../X=1\nsysctl=1', 'c');
    assert.deepEqual(sysctls, []);
    assert.equal(notes.length, 3);
  });
});
