// A signature as it stands in a state: `_sigs/<name>.json`, a JWS (RFC 7515) without its payload, whose protected header says which
// parts of the state that payload is. Pure, and nothing is verified here.
import * as z from 'zod/mini';
import { canonicalJson, withSmallHex } from './canonical-json.ts';
import { matchesPattern, patternProblem } from './path-pattern.ts';

const ALGORITHMS = ['RS256', 'ES256', 'ES384', 'ES512'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export const SIGNATURE_SPEC = 'pvs@2';

/** A state has one per container; whoever writes thousands wants to keep us busy. */
export const MAX_SIGNATURES = 512;
const MAX_PATTERNS = 256;
const MAX_PATTERN = 512;
const MAX_CERTIFICATES = 8;

const base64url = z.string().check(z.regex(/^[A-Za-z0-9_-]+$/));
const patterns = z.array(z.string().check(z.maxLength(MAX_PATTERN))).check(z.maxLength(MAX_PATTERNS));

const signatureDocument = z.object({ protected: base64url, signature: base64url });
const protectedHeader = z.object({
  typ: z.literal('PVS'),
  alg: z.enum(ALGORITHMS),
  pvs: z.object({ include: patterns, exclude: patterns }),
  x5c: z.optional(z.array(z.string()).check(z.minLength(1), z.maxLength(MAX_CERTIFICATES))),
  // RFC 7515 4.1.11: who does not understand what is listed there must not go on, and no extension is understood here.
  crit: z.optional(z.undefined()),
  jwk: z.optional(z.record(z.string(), z.unknown())),
});

export interface StateSignature {
  readonly algorithm: Algorithm;
  /** Base64 DER, that of the signer first. */
  readonly certificates: readonly string[] | undefined;
  /** The signer's key as it says itself: worth nothing but to tell a changed state from a strange key. */
  readonly ownKey: Readonly<Record<string, unknown>> | undefined;
  /** What was signed, in each form in which it may have been: one, but where its JSON has hex. */
  readonly inputs: readonly Buffer[];
  readonly signature: Buffer;
  /** Paths whose values are signed. */
  readonly included: readonly string[];
  /** Paths that its signer left open on purpose, whether it would include them otherwise or not. */
  readonly leftOpen: readonly string[];
}

type State = Readonly<Record<string, unknown>>;

/** Paths of what is, or claims to be, a signature. */
export function signaturePaths(state: State): readonly string[] {
  return Object.keys(state).filter((path) => isSignaturePath(path) || hasSignatureSpec(state[path]));
}

export function isSignaturePath(path: string): boolean {
  return path.startsWith('_sigs/');
}

function hasSignatureSpec(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '#spec' in value && value['#spec'] === SIGNATURE_SPEC;
}

/** A string says what is wrong with it. */
export function readSignature(state: State, path: string): StateSignature | string {
  if (!hasSignatureSpec(state[path])) return `is no signature; expected a document with #spec ${SIGNATURE_SPEC}`;
  const outer = signatureDocument.safeParse(state[path]);
  if (!outer.success) return 'has no protected and signature in base64url';
  const header = protectedHeader.safeParse(parseHeader(outer.data.protected));
  if (!header.success) return `its protected header cannot be used: ${headerProblem(header.error)}`;
  const { typ: _typ, alg, pvs, x5c, jwk } = header.data;
  for (const pattern of [...pvs.include, ...pvs.exclude]) {
    const wrong = patternProblem(pattern);
    if (wrong !== undefined) return `its pattern '${pattern}' ${wrong}`;
  }
  const { included, leftOpen } = select(state, pvs);
  if (included.length === 0) return `includes nothing of this state: ${pvs.include.join(', ').slice(0, 200)}`;
  const inputs = inputsOf(outer.data.protected, state, included);
  if (inputs === undefined) return 'covers a document that is nested too deep';
  return {
    algorithm: alg,
    certificates: x5c,
    ownKey: jwk,
    included,
    leftOpen,
    inputs,
    signature: Buffer.from(outer.data.signature, 'base64url'),
  };
}

export interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export function select(state: State, { include, exclude }: Selection) {
  const [included, leftOpen]: [string[], string[]] = [[], []];
  for (const path of Object.keys(state)) {
    const isOneOf = (patterns: readonly string[]): boolean => patterns.some((each) => matchesPattern(each, path));
    if (isOneOf(exclude)) leftOpen.push(path);
    else if (isOneOf(include)) included.push(path);
  }
  return { included, leftOpen };
}

export function payloadOf(state: State, paths: readonly string[]): string {
  return canonicalJson(Object.fromEntries(paths.map((path) => [path, state[path]])));
}

/** RFC 7515 5.1: header and payload, both in base64url, with a dot between them. */
export function signedInput(header: string, payload: string): Buffer {
  return Buffer.from(`${header}.${Buffer.from(payload).toString('base64url')}`);
}

/** JSON.parse takes any depth; who walks it does not. */
function inputsOf(header: string, state: State, paths: readonly string[]): readonly Buffer[] | undefined {
  try {
    const payload = payloadOf(state, paths);
    return [...new Set([payload, withSmallHex(payload)])].map((each) => signedInput(header, each));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function parseHeader(encoded: string): unknown {
  try {
    return JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  typ: 'typ must be PVS',
  alg: `alg must be one of ${ALGORITHMS.join(', ')}`,
  pvs: `pvs must have include and exclude, each an array of up to ${MAX_PATTERNS} patterns`,
  x5c: `x5c must be an array of 1 to ${MAX_CERTIFICATES} certificates`,
  crit: 'crit asks for extensions, and none is known',
  jwk: 'jwk must be an object',
};

function headerProblem({ issues }: z.core.$ZodError): string {
  return EXPECTED[String(issues[0]?.path[0])] ?? 'it is no JSON object';
}
