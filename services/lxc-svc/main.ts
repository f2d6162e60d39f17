// Wiring of lxc-svc.
import { settingsOf } from '../../shared/service/launch.ts';
import { runService } from '../../shared/service/run-service.ts';
import { lxcContract } from './contract.ts';
import { startLxcService } from './service.ts';

void runService(lxcContract, 'lxc', ({ channel, launch, log }) => {
  const { rundir, storage, logUid } = launch;
  const settings = settingsOf(launch);
  const [capture, autoDevLog] = [settings.value('PV_LOG_CAPTURE'), settings.value('PV_LOG_AUTO_DEVLOG')];
  const modules = {
    modprobe: settings.value('BERTH_MODPROBE'),
    proc: settings.value('BERTH_PROC'),
    fitConfig: settings.value('PV_BOOTLOADER_FITCONFIG'),
  };
  startLxcService({ channel, rundir, storage, readerGid: logUid, capture, autoDevLog, modules, log });
  // Containers outlive the service: nothing is stopped.
  return undefined;
});
