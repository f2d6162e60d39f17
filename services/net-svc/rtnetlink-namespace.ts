// The numbers that the kernel gives other network namespaces in ours (ip-netns(8), NSID), in rtnetlink's words. Pure.
import { decodeAttributes, encodeAttributes, MalformedMessage, type MessageBody, uint32 } from './netlink-message.ts';
import { NETNSA_FD, NETNSA_NSID, NETNSA_PID, RTM_GETNSID, RTM_NEWNSID } from './rtnetlink-codes.ts';

/** struct rtgenmsg, aligned; its family stays unspecified. */
const HEADER_BYTES = 4;

/**
 * Gives the namespace a number in ours, as a veth into it would: only what has one is heard of (kernel-watch.ts). EEXIST where it
 * has one already.
 */
export function numberNamespace(namespaceFd: number): MessageBody {
  const anyNumber = uint32(NETNSA_NSID, 0xffffffff);
  const payload = Buffer.concat([
    Buffer.alloc(HEADER_BYTES),
    encodeAttributes([anyNumber, uint32(NETNSA_FD, namespaceFd)]),
  ]);
  return { type: RTM_NEWNSID, flags: 0, payload };
}

/** Asks for the number of a process's namespace, which takes no rights over the process; ESRCH when it is gone. */
export function getNumberByPid(pid: number): MessageBody {
  return getNumber(NETNSA_PID, pid);
}

export function getNumberByFd(namespaceFd: number): MessageBody {
  return getNumber(NETNSA_FD, namespaceFd);
}

function getNumber(by: number, value: number): MessageBody {
  const payload = Buffer.concat([Buffer.alloc(HEADER_BYTES), encodeAttributes([uint32(by, value)])]);
  return { type: RTM_GETNSID, flags: 0, payload };
}

/** `payload` of the answer; undefined for a namespace without a number. Throws MalformedMessage. */
export function decodeNumber(payload: Buffer): number | undefined {
  if (payload.length < HEADER_BYTES) throw new MalformedMessage(`a namespace number of ${payload.length} bytes`);
  return readNamespaceNumber(decodeAttributes(payload.subarray(HEADER_BYTES)).get(NETNSA_NSID));
}

/** NETNSA_NSID_NOT_ASSIGNED is -1. */
export function readNamespaceNumber(value: Buffer | undefined): number | undefined {
  const number = value !== undefined && value.length >= 4 ? value.readInt32LE() : -1;
  return number < 0 ? undefined : number;
}
