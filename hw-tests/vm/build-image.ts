// What hw-tests/vm/build-image runs.
import process from 'node:process';
import { vmImage } from './image.ts';
import { PackagesMissing } from './packages.ts';

/** sysexits.h, EX_UNAVAILABLE. */
const UNAVAILABLE = 69;

try {
  console.log(await vmImage(console.error, process.argv[2]));
} catch (error) {
  if (!(error instanceof PackagesMissing)) throw error;
  console.error(error.message);
  process.exitCode = UNAVAILABLE;
}
