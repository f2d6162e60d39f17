import { showPart } from './parts.ts';

showPart('backends');
