// What a service that was taken over and the test that listens to it both know.
import { OUTSIDE_ADDRESS, OUTSIDE_PORT } from '../../scripts/sandbox/sandbox.ts';

/** Of role mgmt, with a lease. */
export const KNOWN_CONTAINER = 'boss';
/** In the folder above the rundir: for one report of each, and for the lines of the supervisor's log. */
export const REPORT_SOCKET = 'reports';
export const SUPERVISOR_LOG_SOCKET = 'supervisor-log';
export const OUTSIDE = { host: OUTSIDE_ADDRESS, port: OUTSIDE_PORT };
