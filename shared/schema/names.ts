// The vocabulary of the contracts: names, addresses and digests, each with the one rule that makes it legal.
import * as z from 'zod/mini';

/** One path component, so that a container's name can be a directory, an LXC name and part of a cgroup's name. */
export const CONTAINER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const containerName = z
  .string()
  .check(z.regex(CONTAINER_NAME, '1–63 of A-Z a-z 0-9 . _ -, starting with a letter or digit'));

export const poolName = z
  .string()
  .check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, '1–63 of A-Z a-z 0-9 . _ -, starting with a letter or digit'));

/** IFNAMSIZ is 16 with the final NUL (linux/if.h); dev_valid_name() in net/core/dev.c refuses `/`, `:`, white space, `.`, `..`. */
export const interfaceName = z
  .string()
  .check(z.regex(/^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}$/, '1–15 of A-Z a-z 0-9 _ . -, and neither "." nor ".."'));

/** For messages: what follows `locals/`, or is all of it. */
export const REVISION_NAME_RULE = '1–64 of A-Z a-z 0-9 . _ - + ~ @ =, the first no dot';

/**
 * `0`, `12`, `locals/name`: at most one level. It is a folder, beside those that begin with a dot and what mkfs makes in a disk's root, and
 * part of paths that stand in URLs, lines of LXC's configuration and options of an overlay, which end at `:` and `,`.
 */
export const revisionName = z
  .string()
  .check(
    z.regex(
      /^(?!(?:locals|lost\+found)$)(locals\/)?[A-Za-z0-9_+~@=-][A-Za-z0-9._+~@=-]{0,63}$/,
      `a name of ${REVISION_NAME_RULE}, or locals/<name>`,
    ),
  );

/** The revision that a device came with, and the one that it runs where none is written down. */
export const FACTORY = '0';

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
export const ipv4 = z.string().check(z.regex(new RegExp(`^(?:${octet}\\.){3}${octet}$`), 'an IPv4 address, a.b.c.d'));
export const ipv4Cidr = z
  .string()
  .check(z.regex(new RegExp(`^(?:${octet}\\.){3}${octet}/(?:3[0-2]|[12]?\\d)$`), 'an IPv4 subnet, a.b.c.d/prefix'));
/** Lower case, unicast (bit 0 of the first octet is 0, IEEE 802). */
export const unicastMac = z
  .string()
  .check(z.regex(/^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/, 'a unicast MAC address, lower case, xx:xx:xx:xx:xx:xx'));
export const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits'));
export const pid = z.int().check(z.minimum(2));
/** Milliseconds since 1970-01-01 UTC. */
export const epochMs = z.int().check(z.minimum(0));
export const absolutePath = z
  .string()
  .check(z.regex(/^\/(?!.*(?:\/\.\.?(?:\/|$)))[^\0]*$/, 'an absolute path without "." and ".." parts'));
