// Boots two Debian systems as containers in a sandbox, checks network, logs and stop, and says what it saw.
import { rmSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { openTree, packExample, type Tree } from '../../test/kit/tree.ts';
import { debianImage } from './image.ts';
import { IMAGES, MACHINE, WEB, writeSource } from './revision.ts';

const USAGE = `usage: scripts/debian-containers [--cache DIR] [--mirror URL] [--suite NAME]

  --cache DIR    where the images are kept for the next time (/var/cache/berth-debian)
  --mirror URL   where packages come from (http://deb.debian.org/debian)
  --suite NAME   the Debian release (bookworm)`;

/** A systemd that boots on a slow board; nothing here measures time. */
const BOOT_MS = 120_000;

function say(line: string): void {
  console.log(`debian: ${line}`);
}

/** Resolves with the first line that holds `part`, of a log below <storage>/logs/current. */
function lineOf(tree: Tree, log: string, part: string): Promise<string> {
  return eventually(`'${part}' in ${log}`, BOOT_MS, () =>
    tree
      .readLog(log)
      .split('\n')
      .find((line) => line.includes(part))
      ?.trim(),
  );
}

/** Runs a command in a container, past its own network and files: what `nsenter` sees there. */
function inContainer(tree: Tree, pid: number, command: readonly string[]): string {
  const { stdout, stderr } = tree.inside(['nsenter', '--target', String(pid), '--all', ...command]);
  return (stdout + stderr).trim();
}

async function check(tree: Tree): Promise<void> {
  tree.start();
  const rows = await tree.up();
  for (const { name, status, network } of rows) {
    say(`${name} is ${status} with ${network?.interfaces.map(({ ipv4 }) => ipv4).join(', ') ?? 'no address'}`);
  }
  const machine = rows.find(({ name }) => name === MACHINE)?.pid ?? 0;
  const state = await eventually('systemd is up', BOOT_MS, () => {
    const answer = inContainer(tree, machine, ['systemctl', 'is-system-running']);
    return answer === 'running' || answer === 'degraded' ? answer : undefined;
  });
  const failed = inContainer(tree, machine, ['systemctl', '--failed', '--plain', '--no-legend']);
  say(`systemd in ${MACHINE}: ${state}${failed === '' ? '' : `, failed: ${failed.replaceAll(/\s+/g, ' ')}`}`);
  say(`page of ${WEB}, fetched in ${MACHINE}: ${inContainer(tree, machine, ['curl', '-s', 'http://10.0.6.10/'])}`);
  // nginx by its own syslog module, logger(1) of util-linux through glibc: both to the container's own /dev/log.
  say(`log of ${WEB}: ${await lineOf(tree, `${WEB}/syslog/nginx`, 'GET / ')}`);
  say(`log of ${MACHINE}: ${await lineOf(tree, `${MACHINE}/syslog/fetch`, 'a page of nginx')}`);
  const began = performance.now();
  const code = await tree.endSupervisor('SIGINT');
  say(`both stopped after ${Math.round(performance.now() - began)} ms, exit code ${code}`);
  if (code !== 0) throw new Error('not everything could be stopped, see above');
}

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      cache: { type: 'string', default: '/var/cache/berth-debian' },
      mirror: { type: 'string', default: 'http://deb.debian.org/debian' },
      suite: { type: 'string', default: 'bookworm' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const images = new Map<string, string>();
  for (const image of IMAGES) images.set(image.name, await debianImage(image, { ...values, say }));
  const source = writeSource(images);
  const tree = await openTree(packExample(source)).finally(() => rmSync(source, { recursive: true, force: true }));
  try {
    await check(tree);
    return 0;
  } catch (error) {
    console.error(tree.output());
    console.error(tree.readLog(`${MACHINE}/lxc/console.log`).slice(-4000));
    throw error;
  } finally {
    await tree.close();
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(`debian: ${reasonOf(error)}`);
    process.exitCode = 1;
  },
);
