import { showPart } from './parts.ts';

showPart('addresses');
