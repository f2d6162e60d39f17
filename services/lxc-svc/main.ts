// Wiring of lxc-svc.
import { settingsOf } from '../../shared/config/launched-settings.ts';
import { trimHeap } from '../../shared/kernel/libc.ts';
import { realPlace } from '../../shared/kernel/real-place.ts';
import { runService, type ServiceContext } from '../../shared/service/run-service.ts';
import { lxcContract } from './contract.ts';
import { exportsFolder } from './exports-folder.ts';
import { hooksFolder, hookTimeoutMs } from './hook-files.ts';
import { ignoredMountHooks } from './mount-hooks.ts';
import { startLxcService } from './service.ts';

const wire = ({ channel, launch, log }: ServiceContext) => {
  const { rundir, storage, logUid } = launch;
  const settings = settingsOf(launch);
  const [capture, autoDevLog] = [settings.value('PV_LOG_CAPTURE'), settings.value('PV_LOG_AUTO_DEVLOG')];
  const cryptsetup = settings.value('BERTH_CRYPTSETUP') || 'cryptsetup';
  const folder = exportsFolder(launch);
  // What is mounted there is looked for by its path, and the kernel tells it without links.
  const exports = folder === undefined ? undefined : realPlace(folder);
  const modules = {
    modprobe: settings.value('BERTH_MODPROBE'),
    proc: settings.value('BERTH_PROC'),
    fitConfig: settings.value('PV_BOOTLOADER_FITCONFIG'),
  };
  const tracesLxc = settings.value('PV_LXC_LOG_LEVEL') === 'trace';
  const remountPolicy = settings.value('PV_REMOUNT_POLICY') || 'default';
  const own = { exports, cryptsetup, capture, autoDevLog, tracesLxc, remountPolicy, modules };
  const hooks = { folder: hooksFolder(launch), timeoutMs: hookTimeoutMs(settings) };
  for (const path of ignoredMountHooks(hooks.folder))
    log.warn(`${path} is not run: Berth has no hooks in containers' mounts`);
  return startLxcService({ channel, rundir, storage, readerGid: logUid, ...own, hooks, log });
};

void runService(lxcContract, 'lxc', wire, trimHeap);
