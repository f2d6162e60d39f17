// Every command that the READMEs show is run here as it stands there, in their order.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, it } from 'node:test';
import { type CoveredMachine, coverMachine } from '../kit/covered-machine.ts';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS } from '../kit/tree.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Where the READMEs put files: in this run's own folder for such, so that no other run on the machine meets them. */
const [SHOWN, OWN] = ['/tmp/berth-', join(tmpdir(), 'berth-')];
const DEMO_TIMEOUT_MS = 180_000;

/** The fenced `sh` blocks. */
function blocksOf(readme: string): readonly string[] {
  const text = readFileSync(join(ROOT, readme), 'utf8');
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
}

/** A file to be written, not lines to be typed. */
const isProgram = (block: string): boolean => block.startsWith('#!');

function commandsOf(readme: string): readonly string[] {
  return blocksOf(readme)
    .filter((block) => !isProgram(block))
    .flatMap((block) => block.split('\n').filter((line) => line.trim() !== ''));
}

describe('readme.commands', () => {
  let background: ChildProcess | undefined;
  let socket = '';
  /** What is installed on a device goes to this one, where nothing stays. */
  let device: CoveredMachine | undefined;
  let unit: ChildProcess | undefined;
  const environment = (): NodeJS.ProcessEnv => {
    // A coverage run of ours must not reach into the commands that a user types.
    const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...rest } = process.env;
    return { ...rest, SOCKET: socket };
  };
  /** What compares the machine before and after itself finds none that come and go. */
  const endTrees = async (): Promise<void> => {
    if (background !== undefined && background.exitCode === null) {
      const exited = once(background, 'exit');
      background.kill('SIGINT');
      await exited;
    }
    if (device !== undefined && unit !== undefined && unit.exitCode === null) {
      const exited = once(unit, 'exit');
      device.signal(unit, 'SIGINT');
      await exited;
    }
  };
  after(async () => {
    await endTrees();
    await device?.close();
    for (const name of ['quickstart', 'quickstart.tgz', 'soak.svg'])
      rmSync(`${OWN}${name}`, { recursive: true, force: true });
  });

  const run = (command: string): void => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
      cwd: ROOT,
      encoding: 'utf8',
      env: environment(),
      timeout: DEMO_TIMEOUT_MS,
    });
    assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
  };

  /** `berth run --sandbox` stays; its output names the socket that the next commands use. */
  const start = async (command: string): Promise<void> => {
    const child = spawn('sh', ['-c', `exec ${command}`], {
      cwd: ROOT,
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    background = child;
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    socket = await eventually('control socket named', PATIENCE_MS, () => /up, control socket (\S+)/.exec(output)?.[1]);
    await eventually('net-server started', PATIENCE_MS, () => {
      const { stdout } = spawnSync('dist/pvcontrol.js', ['-s', socket, 'ls'], { cwd: ROOT, encoding: 'utf8' });
      return /"name":\s*"net-server"[^}]*"status":\s*"STARTED"/.test(stdout);
    });
  };

  const runOnDevice = async (command: string): Promise<void> => {
    device ??= await coverMachine();
    if (command === 'systemctl start berth') return await startUnit(device);
    const { status, stdout, stderr } = device.run(command);
    assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
  };

  /** As systemd would, which does not run there. */
  const startUnit = async (machine: CoveredMachine): Promise<void> => {
    const { stdout: text } = machine.run('cat /usr/local/lib/systemd/system/berth.service');
    const [, program = ''] = /^ExecStart=(.*)$/m.exec(text) ?? [];
    unit = machine.start(program);
    await eventually('net-pvcnet started', PATIENCE_MS, () => {
      const { stdout } = machine.run('pvcontrol ls');
      return /"name":\s*"net-pvcnet"[^}]*"status":\s*"STARTED"/.test(stdout);
    });
    assert.match(machine.run('pvcontrol ipam leases').stdout, /"10\.0\.3\.2"/);
  };

  for (const readme of ['README.md', 'test/examples/README.md', 'test/examples/01-basic/README.md']) {
    for (const command of commandsOf(readme)) {
      // This very test is part of it.
      if (command === 'scripts/test') continue;
      it(`${readme}: ${command}`, async () => {
        const ours = command.replaceAll(SHOWN, OWN);
        if (/^npm run (crash|soak) /.test(command)) await endTrees();
        if (/^(scripts\/install|berth|systemctl|pvcontrol) /.test(command)) await runOnDevice(ours);
        else if (command.includes('berth.js run')) await start(ours);
        else run(ours);
      });
    }
  }

  it('README.md: the hook that looks for a modem', () => {
    const [hook = ''] = blocksOf('README.md').filter(isProgram);
    const runHook = (event: string) => {
      const env = { PATH: process.env.PATH, PV_OP: event, PV_REV: 'locals/x' };
      return spawnSync('sh', ['-c', hook], { encoding: 'utf8', env });
    };
    assert.equal(runHook('system-done').status, 0);
    const { status, stderr } = runHook('system-start');
    assert.deepEqual([status, stderr], [1, 'no modem in revision locals/x\n']);
  });

  it('CI runs the test command and nothing weaker', () => {
    assert.match(readFileSync(join(ROOT, '.ci/run'), 'utf8'), /^exec scripts\/test$/m);
  });
});
