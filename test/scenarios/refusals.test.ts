import { showPart } from './parts.ts';

showPart('refusals');
