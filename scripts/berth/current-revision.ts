// boot/current.json of a storage, as far as tools look at it: which revision runs there.
import * as z from 'zod/mini';
import { revisionName } from '../../shared/schema/names.ts';

export const currentDocument = z.object({ revision: revisionName });
