// Why a start came to nothing: the step at which it ended, and what follows from that. Pure.

export interface StartFailure {
  /** `<service>.<request>`, as `lxc.mount`. */
  readonly step: string;
  readonly reason: string;
  /** Of the refusal, where the service that was asked has said so. */
  readonly code?: string;
  /** Nobody refused it: a service was down for longer than it was waited for, and comes back. */
  readonly passing: boolean;
}

export class StepFailed extends Error {
  readonly failure: StartFailure;

  constructor(failure: StartFailure) {
    super(`${failure.step}: ${failure.reason}`);
    this.failure = failure;
  }
}

export function failureOf(error: unknown): StartFailure {
  return error instanceof StepFailed ? error.failure : { step: 'state', reason: String(error), passing: false };
}

const NO_ADDRESS: readonly string[] = ['POOL_EXHAUSTED', 'ADDRESS_TAKEN', 'ADDRESS_UNUSABLE'];

/** Its code, where there is no address for the container: its pool is full, or the one that it wants is not to be had. */
export function addressRefusal({ code }: StartFailure): string | undefined {
  return NO_ADDRESS.find((each) => each === code);
}

/** Whether a start that failed there may work once the pools stand. */
export function isNetworkStep(step: string): boolean {
  return step === 'ipam.allocate' || step === 'net.attach';
}
