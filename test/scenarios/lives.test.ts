import { showPart } from './parts.ts';

showPart('lives');
