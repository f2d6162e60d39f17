// The pool that every shipped board has, on the bridge that Pantavisor makes on every start.
export const DEFAULT_POOL_NAME = 'pvcnet';
export const DEFAULT_POOL = {
  type: 'bridge',
  bridge: 'lxcbr0',
  subnet: '10.0.3.0/24',
  gateway: '10.0.3.1',
  nat: true,
} as const;
