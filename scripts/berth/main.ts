#!/usr/bin/env node
// berth: one program, four commands. Each is loaded when it is asked for.
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import manifest from '../../package.json' with { type: 'json' };
import { buildName } from '../../shared/config/build-name.ts';
import { failOnLostOutput } from '../lost-output.ts';
import { asksForHelp } from './command-line.ts';

const USAGE = `usage: berth COMMAND [ARGUMENT...]

  run      start the supervisor and its services on a storage folder
  pack     make a revision from source folders
  check    validate a state, a device.json, a storage or a source folder
  help     this text

berth COMMAND --help says more. berth --version prints the version.`;
const COMMANDS = ['run', 'pack', 'check'];

async function main([command, ...args]: readonly string[]): Promise<number> {
  const [asked = ''] = args;
  if (command === 'help' && COMMANDS.includes(asked)) return await main([asked, '--help']);
  switch (command) {
    case 'run': {
      const { run } = await import('./run.ts');
      return await run(args);
    }
    case 'pack': {
      const { pack } = await import('./pack.ts');
      return await pack(args);
    }
    case 'check': {
      const { check } = await import('./check.ts');
      return await check(args);
    }
    case 'help':
    case '--help':
    case '-h':
      console.log(USAGE);
      return 0;
    case 'version':
    case '--version':
      console.log(version());
      return 0;
    default:
      console.error(`berth: ${command === undefined ? 'no command' : `no command '${command}'`}\n\n${USAGE}`);
      return 2;
  }
}

function version(): string {
  const build = buildName(dirname(realpathSync(process.argv[1] ?? '')), manifest.version);
  return build === undefined ? manifest.version : `${manifest.version} (build ${build})`;
}

const words = process.argv.slice(2);
// A reader that has left, or a terminal that was closed, must not end a supervisor.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
if (words[0] !== 'run' || asksForHelp(words)) failOnLostOutput('berth');

main(words).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
