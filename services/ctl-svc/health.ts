// GET /health: asks every service how it is, all at once and not for long; one that does not say is itself a reason.
import { Fault } from '../../shared/ipc/fault.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Peers } from './peers.ts';

/** Milliseconds; below the second that a monitoring system gives a probe. */
const HEALTH_DEADLINE_MS = 700;

type HealthAnswer =
  | { readonly ok: true; readonly value: { readonly reasons: readonly HealthReason[] } }
  | { readonly ok: false };

export async function collectReasons(peers: Peers, signal: AbortSignal): Promise<readonly HealthReason[]> {
  const options = { deadlineMs: HEALTH_DEADLINE_MS, signal };
  const answers = await Promise.all([
    reasonsOf('supervisor', peers.supervisor.health({}, options)),
    reasonsOf('state-svc', peers.state.health({}, options)),
    reasonsOf('lxc-svc', peers.lxc.health({}, options)),
    reasonsOf('net-svc', peers.net.health({}, options)),
    reasonsOf('ipam-svc', peers.ipam.health({}, options)),
    reasonsOf('log-svc', peers.log.health({}, options)),
  ]);
  return answers.flat();
}

async function reasonsOf(service: string, answer: Promise<HealthAnswer>): Promise<readonly HealthReason[]> {
  try {
    const health = await answer;
    return health.ok ? health.value.reasons : [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const message = `${service} does not say how it is (${error.code}); GET /services shows its state and last exit`;
    return [{ code: 'SERVICE_SILENT', subject: service, message }];
  }
}
