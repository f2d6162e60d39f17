// What can be shown, and where the API has it.
export const PATH_OF = {
  containers: '/containers',
  groups: '/groups',
  services: '/services',
  daemons: '/daemons',
  leases: '/ipam/leases',
  pools: '/ipam/pools',
  health: '/health',
  objects: '/objects',
  steps: '/steps',
  usrmeta: '/user-meta',
  devmeta: '/device-meta',
  config: '/config',
  conf: '/config2',
  drivers: '/drivers',
  graph: '/xconnect-graph',
};

export type View = keyof typeof PATH_OF;
