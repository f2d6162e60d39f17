// log-svc: the process.
import { runService } from '../../shared/service/run-service.ts';
import { logContract } from './contract.ts';
import { serveLogs } from './log-service.ts';

void runService(logContract, 'log', ({ channel, launch, log }) => serveLogs(channel, launch, log));
