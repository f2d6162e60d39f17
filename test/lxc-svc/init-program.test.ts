import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { initProblem } from '../../services/lxc-svc/init-program.ts';
import { interpreterOf } from '../../shared/lxc-config/elf-interpreter.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-init-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(path: string, text: string | Buffer = '', mode = 0o755): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  chmodSync(join(root, path), mode);
}

function putLink(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}

const problem = (config: string): string | undefined => initProblem(root, parseLxcConfig(config, '/x/conf').entries);
const RUN = 'lxc.init.cmd = /bin/run --fast';

describe('lxc.initProblem', () => {
  it('is none for a program that is there, also behind links that start at the container’s own root', () => {
    put('/usr/lib/real');
    putLink('/bin', '/usr/bin');
    putLink('/usr/bin/run', '../lib/real');
    assert.equal(problem(RUN), undefined);
  });

  it('names the link that leads nowhere, and one that leads in circles', () => {
    putLink('/bin/run', '/usr/lib/gone');
    assert.match(problem(RUN) ?? '', /conf:1\) runs \/bin\/run: no \/bin\/run, as there is no \/usr;/);
    putLink('/sbin/init', 'init');
    assert.match(problem('') ?? '', /no \/sbin\/init/);
  });

  it('never looks outside the root', () => {
    putLink('/bin/run', `../../../../../../../../..${process.execPath}`);
    assert.match(problem(RUN) ?? '', /no \/bin\/run/);
  });

  it('names what is no program', () => {
    put('/bin/run', '', 0o644);
    assert.match(problem(RUN) ?? '', /not executable \(mode 644\)/);
    mkdirSync(join(root, 'bin/folder'));
    assert.match(problem('lxc.init.cmd = /bin/folder') ?? '', /no program/);
  });

  it('names the line ends of a script that the kernel takes for part of its interpreter’s name', () => {
    put('/bin/sh');
    put('/bin/run', '#!/bin/sh\r\necho hello\r\n');
    assert.match(problem(RUN) ?? '', /\/bin\/run has lines that end in CR LF.* save it with LF alone;/);
    put('/bin/run', '#!/bin/sh -e\r\necho hello\r\n');
    assert.equal(problem(RUN), undefined);
  });

  it('names the interpreter of a script, and the loader of a binary, that the root lacks', () => {
    put('/bin/run', '#! /usr/bin/python3 -u\n');
    assert.match(problem(RUN) ?? '', /\/bin\/run needs \/usr\/bin\/python3, and no \/usr\/bin\/python3/);
    const loader = interpreterOf(readFileSync(process.execPath).subarray(0, 4096));
    assert.match(loader ?? '', /^\/lib.*ld-/);
    put('/usr/bin/python3', readFileSync(process.execPath).subarray(0, 4096));
    assert.match(problem(RUN) ?? '', /\/usr\/bin\/python3 needs \/lib/);
    put(loader ?? '');
    assert.equal(problem(RUN), undefined);
  });

  it('is none for a program below a mount, also one with a blank in its place', () => {
    putLink('/bin/run', '/my programs/run');
    assert.match(problem(RUN) ?? '', /as there is no \/my programs/);
    assert.equal(problem(`${RUN}\nlxc.mount.entry = /x my\\040programs none bind 0 0`), undefined);
  });

  it('starts from the working directory', () => {
    put('/srv/run');
    assert.equal(problem('lxc.init.cwd = /srv\nlxc.init.cmd = ./run'), undefined);
    assert.match(problem('lxc.init.cmd = ./run') ?? '', /no \/run;/);
  });

  it('leaves to the start what hooks and mounts may bring', () => {
    assert.equal(problem(`${RUN}\nlxc.mount.entry = /host/bin bin none bind 0 0`), undefined);
    assert.equal(problem(`${RUN}\nlxc.hook.mount = /x`), undefined);
    assert.equal(problem(`${RUN}\nlxc.environment = PATH`)?.includes('no /bin/run'), true);
    assert.equal(problem('lxc.init.cmd = run\nlxc.environment = PATH'), undefined);
  });

  it('never throws on a head that lies', () => {
    const head = Buffer.alloc(100, 0xff);
    head.write('\x7fELF', 0, 'latin1');
    assert.equal(interpreterOf(head), undefined);
    assert.equal(interpreterOf(Buffer.from('#!')), undefined);
  });
});
