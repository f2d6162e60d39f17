// Wiring of lxc-svc.
import { runService } from '../../shared/service/run-service.ts';
import { lxcContract } from './contract.ts';
import { startLxcService } from './service.ts';

void runService(lxcContract, 'lxc', ({ channel, launch, log }) => {
  const { rundir, storage, logUid } = launch;
  startLxcService({ channel, rundir, storage, readerGid: logUid, log });
  // Containers outlive the service: nothing is stopped.
  return undefined;
});
