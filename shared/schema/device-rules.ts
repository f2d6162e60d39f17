// Rules of device nodes in documents and contracts; what they say, see device-rule.ts.
import * as z from 'zod/mini';

/** Each device is held against all of them. */
export const deviceRules = z.array(z.string().check(z.maxLength(512))).check(z.maxLength(64));
