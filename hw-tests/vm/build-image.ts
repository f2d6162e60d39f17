// What hw-tests/vm/build-image runs.
import process from 'node:process';
import { vmImage } from './image.ts';

console.log(await vmImage(console.error, process.argv[2]));
