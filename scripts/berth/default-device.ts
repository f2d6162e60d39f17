// The device.json that a device has before anybody brought a revision: the groups that are the default anyway, so that people
// see them, and the pool that every board has.
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
      pvcnet: { type: 'bridge', bridge: 'lxcbr0', subnet: '10.0.3.0/24', gateway: '10.0.3.1', nat: true },
    },
  },
} as const;
