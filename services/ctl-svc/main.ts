// ctl-svc: the process.
import { writtenOf } from '../../shared/config/launched-settings.ts';
import { runService } from '../../shared/service/run-service.ts';
import { ctlContract } from './contract.ts';
import { serveControl } from './serve.ts';

void runService(ctlContract, 'ctl', async ({ channel, launch, log }) => {
  if (launch.hostSocketFd === undefined) throw new Error('the launch document names no hostSocketFd');
  const { hostSocketFd: hostFd, storage } = launch;
  return await serveControl(channel, { hostFd, storage, settings: writtenOf(launch) }, log);
});
