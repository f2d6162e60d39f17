// Wiring of lxc-svc.
import { settingsOf } from '../../shared/service/launch.ts';
import { runService } from '../../shared/service/run-service.ts';
import { lxcContract } from './contract.ts';
import { startLxcService } from './service.ts';

void runService(lxcContract, 'lxc', ({ channel, launch, log }) => {
  const { rundir, storage, logUid } = launch;
  const capture = settingsOf(launch).value('PV_LOG_CAPTURE');
  startLxcService({ channel, rundir, storage, readerGid: logUid, capture, log });
  // Containers outlive the service: nothing is stopped.
  return undefined;
});
