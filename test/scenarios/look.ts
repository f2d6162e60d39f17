// What scenarios look at: addresses, pages, rules, logs, health.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { ContainerRow, Status } from '../../shared/schema/api.ts';
import { ask, containerRows, get, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS, type Tree } from '../kit/tree.ts';

/** The examples' init gives itself as long, in whole seconds. */
const FETCH_SECONDS = '1';

export async function rowOf(tree: Tree, container: string): Promise<ContainerRow> {
  const row = (await get(tree.socket, '/containers', containerRows)).find(({ name }) => name === container);
  assert.ok(row, `there is no container ${container}`);
  return row;
}

/** A row of a container of which the condition holds; a tree that is only starting is waited for. */
export function untilRow(tree: Tree, container: string, holds: (row: ContainerRow) => boolean): Promise<ContainerRow> {
  let last = 'no answer';
  const wait = eventually(`${container} as wanted`, PATIENCE_MS, async () => {
    const rows = existsSync(tree.socket) ? await get(tree.socket, '/containers', containerRows).catch(() => []) : [];
    const row = rows.find(({ name }) => name === container);
    if (row !== undefined) last = JSON.stringify(row);
    return row !== undefined && holds(row) ? row : undefined;
  });
  return wait.catch((error: Error) => Promise.reject(new Error(`${error.message}; it was ${last}`)));
}

export function untilStatus(tree: Tree, container: string, status: Status): Promise<ContainerRow> {
  return untilRow(tree, container, (row) => row.status === status);
}

export async function act(tree: Tree, container: string, action: 'start' | 'stop' | 'restart'): Promise<void> {
  const answer = await ask(tree.socket, 'PUT', `/containers/${container}`, { action });
  assert.equal(answer.status, 200, `${action} of ${container}: ${answer.body}`);
}

/** As the API says, without its prefix. */
export async function addressOf(tree: Tree, container: string): Promise<string> {
  const address = (await rowOf(tree, container)).network?.interfaces[0]?.ipv4.split('/')[0];
  assert.ok(address, `${container} has no address`);
  return address;
}

/** What a command prints, run in the container's network namespace, or the host's. */
export async function outputIn(tree: Tree, where: string, command: readonly string[]): Promise<string> {
  if (where === 'host') return tree.inside(command).stdout.trim();
  const { pid } = await rowOf(tree, where);
  assert.ok(pid !== null, `${where} does not run`);
  return tree.inside(['nsenter', `--target=${pid}`, '--net', '--', ...command]).stdout.trim();
}

/** What the kernel says of the addresses of a link, in the container's network namespace or the host's: `10.0.5.2/24`. */
export async function kernelAddresses(tree: Tree, where: string, link: string): Promise<readonly string[]> {
  const listing = await outputIn(tree, where, ['ip', '-o', '-4', 'address', 'show', 'dev', link]);
  return [...listing.matchAll(/ inet (\S+)/g)].map(([, address = '']) => address);
}

function fetchFrom(tree: Tree, where: string, address: string, port: number): Promise<string> {
  const url = `http://${address}:${port}/`;
  return outputIn(tree, where, ['busybox', 'timeout', FETCH_SECONDS, 'busybox', 'wget', '-q', '-O', '-', url]);
}

/** Resolves with the page; a server that is only starting is waited for. */
export function reaches(tree: Tree, from: string, address: string, port = 8080): Promise<string> {
  return eventually(`${from} reaches ${address}:${port}`, PATIENCE_MS, async () => {
    const page = await fetchFrom(tree, from, address, port);
    return page === '' ? undefined : page;
  });
}

/** Once is enough: whoever asks has seen that the server is there. */
export async function doesNotReach(tree: Tree, from: string, address: string, port: number): Promise<void> {
  assert.equal(await fetchFrom(tree, from, address, port), '', `${from} reaches ${address}:${port}`);
}

export function pings(tree: Tree, from: string, address: string): Promise<true> {
  const command = ['busybox', 'ping', '-c', '1', '-W', '1', address];
  return eventually(`${from} pings ${address}`, PATIENCE_MS, async () => {
    return (await outputIn(tree, from, command)).includes(' 0% packet loss') ? true : undefined;
  });
}

/** Waits until a container printed a line that matches. */
export function says(tree: Tree, container: string, pattern: RegExp): Promise<true> {
  return logged(tree, `${container}/lxc/console.log`, pattern);
}

/** The outside host had requests, of this address only. Who asked may say so before the outside host's own line is read here. */
export async function seesOutside(tree: Tree, address: string): Promise<void> {
  const seen = await eventually('a request at the outside host', PATIENCE_MS, () => {
    const addresses = tree.sandbox.seenOutside();
    return addresses.length > 0 ? addresses : undefined;
  });
  assert.deepEqual([...new Set(seen)], [address]);
}

/** Waits until pantavisor.log, or another file of the revision's log folder, has a line that matches. */
export function logged(tree: Tree, file: string, pattern: RegExp): Promise<true> {
  return eventually(`${pattern} in ${file}`, PATIENCE_MS, () => (pattern.test(tree.readLog(file)) ? true : undefined));
}

export const LOG = 'pantavisor/pantavisor.log';

/** Masquerade rules of everybody, in both programs' terms; a program that is hidden knows of none. */
export function masqueradeRules(tree: Tree): { readonly nft: readonly string[]; readonly iptables: readonly string[] } {
  const lines = (command: readonly string[]): readonly string[] =>
    tree
      .inside(command)
      .stdout.split('\n')
      .filter((line) => /masquerade/i.test(line))
      .map((line) => line.trim());
  return { nft: lines(['nft', 'list', 'ruleset']), iptables: lines(['iptables-save', '-t', 'nat']) };
}

/** Waits until GET /health has a reason with this code and a matching message. */
export function unhealthy(tree: Tree, code: string, pattern: RegExp): Promise<true> {
  return eventually(`${code} ${pattern} in /health`, PATIENCE_MS, async () => {
    const answer = await ask(tree.socket, 'GET', '/health').catch(() => undefined);
    if (answer === undefined) return undefined;
    const { reasons } = healthAnswer.parse(JSON.parse(answer.body));
    return reasons.some((reason) => reason.code === code && pattern.test(reason.message)) ? true : undefined;
  });
}
