// Whichever service it is started as: it answers nothing, but as state-svc stops no containers, and asks for a reboot before it says so.
import process from 'node:process';
import { stateContract } from '../../services/state-svc/contract.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { type Contract, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { LAUNCH_VARIABLE, launch } from '../../shared/service/launch.ts';
import { runService } from '../../shared/service/run-service.ts';

const { service } = launch.parse(JSON.parse(process.env[LAUNCH_VARIABLE] ?? 'null'));
const own = SERVICE_CONTRACTS.find((contract) => contract.service === service);
if (own === undefined) throw new Error(`${service} has no contract`);

void runService(own, 'asking', ({ channel }) => {
  const supervisor = channel.client(supervisorContract);
  const refuse = (): never => {
    throw new Error('nobody was to ask that');
  };
  const handlers: Handlers<Contract> = Object.fromEntries(Object.keys(own.requests).map((name) => [name, refuse]));
  const stopAll = async () => {
    await supervisor.reboot({ code: 'RECOVERY_EXHAUSTED', message: 'it ends as well', counted: true });
    return ok({});
  };
  channel.serve(own, own.service === stateContract.service ? { ...handlers, stopAll } : handlers);
  return undefined;
});
