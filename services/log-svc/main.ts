// log-svc: the process.
import { join } from 'node:path';
import { runService } from '../../shared/service/run-service.ts';
import { logContract } from './contract.ts';
import { serveLogs } from './log-service.ts';

// The bundle is CommonJS, and the worker's bundle lies beside it.
void runService(logContract, 'log', ({ channel, launch, log }) =>
  serveLogs(channel, launch, log, join(__dirname, 'compress-worker.js')),
);
