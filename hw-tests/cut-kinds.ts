// What a device can be busy with when its power is cut.

/** The first one needs a new device, and allocates too: five cuts have something of all. */
export const KINDS = ['compaction', 'metadata', 'update', 'rotation', 'commit', 'allocation'] as const;

export type Kind = (typeof KINDS)[number];
