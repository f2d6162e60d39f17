// Which build of the contracts this process speaks; services of different builds do not talk to each other.

declare const __CONTRACTS_HASH__: string | undefined;

/** Set by the build from the text of every contract and schema. Sources that run without a build are one build among themselves. */
export const CONTRACTS_HASH: string = typeof __CONTRACTS_HASH__ === 'string' ? __CONTRACTS_HASH__ : 'unbundled';
