// The device.json that a device has before anybody brought a revision: the groups that are the default anyway, so that people
// see them, and the pool that every board has.
import { DEFAULT_POOL, DEFAULT_POOL_NAME } from '../../shared/revision/default-pool.ts';

export const DEFAULT_DEVICE = {
  groups: [
    {
      name: 'data',
      description: 'Containers that are mounted and have nothing to start',
      status_goal: 'MOUNTED',
      restart_policy: 'system',
      timeout: 30,
    },
    {
      name: 'root',
      description: 'The container that brings up the network',
      status_goal: 'STARTED',
      restart_policy: 'system',
      timeout: 30,
    },
    {
      name: 'platform',
      description: 'Containers that the device needs',
      status_goal: 'STARTED',
      restart_policy: 'system',
      timeout: 30,
    },
    {
      name: 'app',
      description: 'Containers that may end and be updated by themselves',
      status_goal: 'STARTED',
      restart_policy: 'container',
      timeout: 30,
      auto_recovery: {
        policy: 'on-failure',
        max_retries: 5,
        retry_delay: 5,
        backoff_factor: 2,
        stable_timeout: 30,
        backoff_policy: 'reboot',
      },
    },
  ],
  network: {
    pools: {
      [DEFAULT_POOL_NAME]: DEFAULT_POOL,
    },
  },
} as const;
