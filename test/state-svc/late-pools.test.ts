// Pools that cannot be made when a revision wants them, or not be told of at all: who waits, who is started, and what is given up.
import { describe, it } from 'node:test';
import { APP, POOLED, useDevices } from './kit.ts';

const open = useDevices();

describe('pools that come late', () => {
  it('let a container start that failed for want of them when it was tried again for a service that had been away', async () => {
    const it = await open({ web: { ...APP, ...POOLED } });
    it.world.troubles.set('ipam.configure 1', 'refuse');
    const down = () => it.world.troubles.set('net.attach web', 'die');
    down();
    await it.boot();
    await it.until(() => {
      if (it.history.get('web')?.at(-1) === 'RECOVERING') return true;
      down();
      it.clock.advance(4_000);
      return false;
    });
    it.world.troubles.set('ipam.configure 1', 'refuse').set('net.attach web', 'refuse');
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STOPPED');
    it.world.troubles.clear();
    it.clock.advance(5_000);
    await it.untilStatus('web', 'STARTED');
  });
});
