// A ctl-svc that somebody has taken over: it asks everything of everybody, says what others say, and looks where it has no business.
// What came of it is the answer to whatever is asked on the host's socket.
import { exec } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { ctlContract } from '../../services/ctl-svc/contract.ts';
import { ALL_CONTRACTS } from '../../services/supervisor/contracts.ts';
import type { Channel, Contract } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { runService } from '../../shared/service/run-service.ts';

/** No request has it: those that may be asked are not carried out. */
const NONSENSE = { nonsense: 'of a stranger' };

async function askEverything(channel: Channel): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const contract of ALL_CONTRACTS) {
    const client: Readonly<Record<string, (params: unknown) => Promise<unknown>>> = channel.client<Contract>(contract);
    for (const name of Object.keys(contract.requests)) {
      const answer = client[name]?.(NONSENSE);
      outcomes[`${contract.service}.${name}`] = await Promise.resolve(answer).then(
        () => 'answered',
        (error: unknown) => (error instanceof Fault ? error.code : String(error)),
      );
    }
  }
  return outcomes;
}

function outcomeOf(act: () => unknown): string {
  try {
    act();
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

void runService(ctlContract, 'ctl', ({ channel, launch }) => {
  channel.serve(ctlContract, {});
  for (const contract of ALL_CONTRACTS) {
    for (const name of Object.keys(contract.events)) channel.publish<Contract, string>(contract, name, NONSENSE);
  }
  const asking = askEverything(channel);
  const parent = process.ppid;
  const reached = {
    'read a lease journal': outcomeOf(() => readdirSync(join(launch.storage, 'ipam'))),
    'read logs': outcomeOf(() => readdirSync(join(launch.storage, 'logs'))),
    'read /etc/shadow': outcomeOf(() => readFileSync('/etc/shadow')),
    'write a revision': outcomeOf(() => writeFileSync(join(launch.storage, 'trails/mine'), '')),
    'write what boots': outcomeOf(() => writeFileSync(join(launch.storage, 'boot/current.json'), '')),
    'start a program': outcomeOf(() => exec('true')),
    'load native code': outcomeOf(() => process.dlopen({ exports: {} }, '/dev/null')),
    'run a text as code': outcomeOf(() => new Function('return 1')()),
    'end the supervisor': outcomeOf(() => process.kill(parent, 'SIGKILL')),
    'become root': outcomeOf(() => process.setuid?.(0)),
  };
  const answer = async (): Promise<string> => JSON.stringify({ requests: await asking, reached });
  createServer((_, response) => void answer().then((text) => response.end(text))).listen({
    fd: launch.hostSocketFd,
  });
  return undefined;
});
