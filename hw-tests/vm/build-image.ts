// What hw-tests/vm/build-image runs.
import { vmImage } from './image.ts';

console.log(await vmImage(console.error));
