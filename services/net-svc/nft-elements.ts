// Elements of nft sets, added and deleted over netlink: a conversation of one call, where the program nft would be a process
// (linux/netfilter/nfnetlink.h, nf_tables.h).
import { closeSync } from 'node:fs';
import process from 'node:process';
import { kernelError, recv, send } from '../../shared/kernel/libc.ts';
import { bindNetlink, NETLINK_NETFILTER, openNetlink } from '../../shared/kernel/netlink.ts';
import {
  type Attribute,
  decodeMessages,
  decodeOutcome,
  encodeAttributes,
  encodeMessage,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLMSG_ERROR,
  nested,
  text,
} from './netlink-message.ts';
import type { SenderElement } from './sender-rules.ts';

const BATCH_BEGIN = 16;
const BATCH_END = 17;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_DELSETELEM = 14;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_DATA_VALUE = 1;
const NFPROTO_BRIDGE = 7;

const IFNAME_BYTES = 16;
/** Parts of a key are padded to registers of four bytes. */
const MAC_BYTES = 8;
/** An answer is a number, and at most a change of one element again. */
const RECEIVE_BYTES = 4 * 1024;

/** The port that changes of ours are made from: word of them is no news to us. The kernel gives none with this bit. */
export const OWN_NETLINK_PORT = 0x40000000 | process.pid;

/** As the kernel keeps it: a name of 16 bytes, then a MAC of 8, then an address of 4; or half an address of 8. */
export function elementKey({ port, mac, address, identifier }: SenderElement): Buffer {
  const parts: Buffer[] = [];
  if (port !== undefined) {
    const name = Buffer.alloc(IFNAME_BYTES);
    name.write(port, 'latin1');
    parts.push(name);
  }
  if (mac !== undefined) {
    const bytes = Buffer.alloc(MAC_BYTES);
    bytes.write(mac.replaceAll(':', ''), 'hex');
    parts.push(bytes);
  }
  if (address !== undefined) parts.push(Buffer.from(address.split('.').map(Number)));
  if (identifier !== undefined) parts.push(Buffer.from(identifier, 'hex'));
  return Buffer.concat(parts);
}

/** `struct nfgenmsg`: family, version, a resource in network order. */
function general(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 0xff]);
}

/** One transaction: all of it or nothing. Adding what is there is no failure, deleting what is not there is. Throws KernelError. */
export type ChangeElements = (change: 'add' | 'delete', table: string, elements: readonly SenderElement[]) => void;

/**
 * Of the network namespace of the first change. One socket for all: the kernel lets whoever closes one wait until nothing uses what its
 * last change took away (nft_rcv_nl_event() in nf_tables_api.c, a grace period of RCU), 5 to 15 ms with the whole service.
 */
export function createElementChanges(): ChangeElements {
  let fd: number | undefined;
  return (change, table, elements) => {
    fd ??= openNetlink(NETLINK_NETFILTER, (opened) => bindNetlink(opened, { port: OWN_NETLINK_PORT }));
    try {
      send(fd, transaction(change, table, elements));
      readAnswers(fd, elements.length);
    } catch (error) {
      // Answers that nobody reads now would be taken for those of the next change.
      closeSync(fd);
      fd = undefined;
      throw error;
    }
  };
}

function transaction(change: 'add' | 'delete', table: string, elements: readonly SenderElement[]): Buffer {
  const type = (NFNL_SUBSYS_NFTABLES << 8) | (change === 'add' ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
  const batch = general(0, NFNL_SUBSYS_NFTABLES);
  const messages = elements.map((element, index) => {
    const key: Attribute = { type: NFTA_DATA_VALUE, value: elementKey(element) };
    const list = nested(NFTA_SET_ELEM_LIST_ELEMENTS, [nested(NFTA_LIST_ELEM, [nested(NFTA_SET_ELEM_KEY, [key])])]);
    const names = [text(NFTA_SET_ELEM_LIST_TABLE, table), text(NFTA_SET_ELEM_LIST_SET, element.set)];
    const payload = Buffer.concat([general(NFPROTO_BRIDGE, 0), encodeAttributes([...names, list])]);
    const isLast = index + 1 === elements.length;
    const flags = (change === 'add' ? NLM_F_CREATE : 0) | (isLast ? NLM_F_ACK : 0);
    return encodeMessage({ type, flags, payload }, index + 1);
  });
  const begin = encodeMessage({ type: BATCH_BEGIN, flags: 0, payload: batch }, 0);
  const end = encodeMessage({ type: BATCH_END, flags: 0, payload: batch }, elements.length + 1);
  return Buffer.concat([begin, ...messages, end]);
}

/** Refusals are always answered, success only of the last message. Throws the first refusal. */
function readAnswers(fd: number, last: number): void {
  const received = Buffer.allocUnsafe(RECEIVE_BYTES);
  for (let answered = 0; answered < last; ) {
    for (const answer of decodeMessages(Buffer.from(received.subarray(0, recv(fd, received, 0))))) {
      if (answer.type !== NLMSG_ERROR) continue;
      const { errno, explanation } = decodeOutcome(answer);
      if (errno !== 0) throw kernelError(errno, 'nf_tables', explanation);
      answered = answer.sequence;
    }
  }
}
