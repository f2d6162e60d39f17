// One conversation with the kernel's rtnetlink, synchronous: the kernel answers within send(2), nothing is waited for.
import { closeSync } from 'node:fs';
import { KernelError, kernelError, recv, send, setsockopt } from '../../shared/kernel/libc.ts';
import { NETLINK_ROUTE, openNetlink } from '../../shared/kernel/netlink.ts';
import { attempt, NetFailure } from './net-failure.ts';
import {
  decodeMessages,
  decodeOutcome,
  encodeMessage,
  type Message,
  type MessageBody,
  NLM_F_ACK,
  NLM_F_DUMP_FILTERED,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type Step,
} from './netlink-message.ts';

/** linux/socket.h, linux/netlink.h */
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const MSG_TRUNC = 0x20;
/**
 * The kernel fills at most 32 KiB of a reader's buffer in a dump (net/netlink/af_netlink.c), but tells one link as a whole: with further names of up
 * to 64 KiB together (net/core/rtnetlink.c), which containers give theirs as they like.
 */
const RECEIVE_BYTES = 128 * 1024;
/** A dump that others' changes interrupt this often is given up. */
const MAX_DUMPS = 10;
/** No such process, no such link. */
const MISSING = [3, 19];

/** `read`: the entries before it. */
export type IsBeyond = (payload: Buffer, read: readonly Buffer[]) => boolean;

export interface NetlinkSocket {
  /** Sends all in one datagram. The kernel tries every one of them; the first that failed is thrown as NetFailure. */
  apply(steps: readonly Step[]): void;
  /** The payload of the answer, undefined when there is no such link (ENODEV) or process (ESRCH). */
  get(step: string, message: MessageBody): Buffer | undefined;
  /**
   * The payloads of all entries. Of a kernel that tells only what was asked for none from the first one on that `isBeyond`; then nothing more
   * can be asked.
   */
  dump(step: string, message: MessageBody, isBeyond?: IsBeyond): Buffer[];
  close(): void;
}

// Used within one call only, and calls do not overlap: nothing here is asynchronous.
const received = Buffer.allocUnsafeSlow(RECEIVE_BYTES);

function receive(fd: number): Message[] {
  const length = recv(fd, received, MSG_TRUNC);
  if (length > received.length) throw kernelError(90, 'recv', `an answer of ${length} bytes`); // EMSGSIZE
  return decodeMessages(Buffer.from(received.subarray(0, length)));
}

/** Speaks with the network namespace that the calling thread is in at this moment, for ever. Its port is given with its first message. Throws KernelError. */
export function openRtnetlink(): NetlinkSocket {
  return conversation(openNetlink(NETLINK_ROUTE, (fd) => setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, ON)));
}

/** As `openRtnetlink`; a dump is what its message asks for, where the kernel can do that (4.20), and everything elsewhere. */
export function openFiltering(): NetlinkSocket {
  return conversation(
    openNetlink(NETLINK_ROUTE, (fd) => {
      setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, ON);
      try {
        setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, ON);
      } catch (error) {
        if (!(error instanceof KernelError) || error.errno !== 'ENOPROTOOPT') throw error;
      }
    }),
  );
}

const ON = Buffer.from([1, 0, 0, 0]);

function conversation(fd: number): NetlinkSocket {
  let sequence = 0;

  const apply = (steps: readonly Step[]): void => {
    if (steps.length === 0) return;
    const first = sequence + 1;
    const last = sequence + steps.length;
    // Failures are always answered, in order; that nothing failed is to be heard once, of the last.
    const datagram = steps.map(({ message: { type, flags, payload } }) => {
      sequence += 1;
      return encodeMessage({ type, flags: sequence === last ? flags | NLM_F_ACK : flags, payload }, sequence);
    });
    send(fd, Buffer.concat(datagram));
    let failure: NetFailure | undefined;
    for (let answered = first - 1; answered < last; ) {
      for (const answer of receive(fd)) {
        const step = steps[answer.sequence - first];
        if (answer.type !== NLMSG_ERROR || step === undefined) continue;
        answered = answer.sequence;
        failure ??= failureOf(step.step, answer);
      }
    }
    if (failure !== undefined) throw failure;
  };

  const get = (step: string, message: MessageBody): Buffer | undefined => {
    send(fd, encodeMessage(message, ++sequence));
    for (;;) {
      const answer = receive(fd).find((candidate) => candidate.sequence === sequence);
      if (answer === undefined) continue;
      if (answer.type !== NLMSG_ERROR) return answer.payload;
      if (MISSING.includes(decodeOutcome(answer).errno)) return undefined;
      throw failureOf(step, answer) ?? new NetFailure(step, 'the kernel acknowledged without an answer');
    }
  };

  const dumpOnce = (step: string, message: MessageBody, isBeyond: IsBeyond): Buffer[] | undefined => {
    send(fd, encodeMessage(message, ++sequence));
    const entries: Buffer[] = [];
    let interrupted = false;
    for (;;) {
      for (const answer of receive(fd)) {
        if (answer.sequence !== sequence) continue;
        interrupted ||= (answer.flags & NLM_F_DUMP_INTR) !== 0;
        if (answer.type === NLMSG_DONE || answer.type === NLMSG_ERROR) {
          const failure = failureOf(step, answer);
          if (failure !== undefined) throw failure;
          return interrupted ? undefined : entries;
        }
        if ((answer.flags & NLM_F_DUMP_FILTERED) !== 0 && isBeyond(answer.payload, entries)) return entries;
        entries.push(answer.payload);
      }
    }
  };

  const dump = (step: string, message: MessageBody, isBeyond: IsBeyond = () => false): Buffer[] => {
    for (let round = 0; round < MAX_DUMPS; round++) {
      const entries = dumpOnce(step, message, isBeyond);
      if (entries !== undefined) return entries;
    }
    throw new NetFailure(step, `something changed during each of ${MAX_DUMPS} attempts to list`);
  };

  return {
    apply: (steps) => attempt(steps[0]?.step ?? 'netlink', () => apply(steps)),
    get: (step, message) => attempt(step, () => get(step, message)),
    dump: (step, message, isBeyond) => attempt(step, () => dump(step, message, isBeyond)),
    close: () => closeSync(fd),
  };
}

/** The same conversation; `record` hears the words of every change that was made. */
export function recording(socket: NetlinkSocket, record: (step: string) => void): NetlinkSocket {
  return {
    ...socket,
    apply(steps) {
      socket.apply(steps);
      for (const { step } of steps) record(step);
    },
  };
}

/** Undefined for a success. */
function failureOf(step: string, answer: Message): NetFailure | undefined {
  const { errno, explanation } = decodeOutcome(answer);
  if (errno === 0) return undefined;
  return new NetFailure(step, kernelError(errno, 'rtnetlink', explanation).message);
}
