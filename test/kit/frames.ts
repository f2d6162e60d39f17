// Ethernet frames as a hostile container makes them: sent from within a namespace, as bytes.
import { Buffer } from 'node:buffer';
import { closeSync, openSync } from 'node:fs';
import { bind, send, socket } from '../../shared/kernel/libc.ts';
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';

/** linux/socket.h, linux/if_ether.h */
const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ARP = 0x0806;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const addressBytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));

function ethernet(to: string, from: string, type: number, payload: Buffer): Buffer {
  return Buffer.concat([macBytes(to), macBytes(from), Buffer.from([type >> 8, type & 0xff]), payload]);
}

export interface Arp {
  /** Of the frame itself. */
  readonly from: string;
  readonly to: string;
  readonly senderMac: string;
  readonly senderAddress: string;
  readonly targetAddress: string;
}

/** An answer that nobody asked for (RFC 826). */
export function arpReply({ from, to, senderMac, senderAddress, targetAddress }: Arp): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, 2]);
  const body = [macBytes(senderMac), addressBytes(senderAddress), macBytes(to), addressBytes(targetAddress)];
  return ethernet(to, from, ETH_P_ARP, Buffer.concat([head, ...body]));
}

/** A UDP datagram without a checksum (RFC 768). */
export function udp(from: string, to: string, source: string, target: string, port: number, text: string): Buffer {
  const data = Buffer.from(text);
  const header = Buffer.alloc(28);
  header[0] = 0x45;
  header.writeUInt16BE(28 + data.length, 2);
  header[8] = 64;
  header[9] = 17;
  addressBytes(source).copy(header, 12);
  addressBytes(target).copy(header, 16);
  header.writeUInt16BE(internetChecksum(header.subarray(0, 20)), 10);
  header.writeUInt16BE(port, 20);
  header.writeUInt16BE(port, 22);
  header.writeUInt16BE(8 + data.length, 24);
  return ethernet(to, from, ETH_P_IP, Buffer.concat([header, data]));
}

const ALL_NODES = 'ff020000000000000000000000000001';
const UNKNOWN = Buffer.alloc(16);

/** The address that the kernel makes of a MAC for a link (RFC 4291, appendix A). */
export function linkLocal(mac: string): Buffer {
  const bytes = macBytes(mac);
  return Buffer.concat([
    Buffer.from('fe80000000000000', 'hex'),
    Buffer.from([bytes.readUInt8(0) ^ 2]),
    bytes.subarray(1, 3),
    Buffer.from('fffe', 'hex'),
    bytes.subarray(3),
  ]);
}

/** To all nodes: `router`, a link-local address, offers itself as default router for half an hour (RFC 4861, 4.2). */
export function routerAdvertisement(from: string, router: Buffer): Buffer {
  return icmpv6(from, router, Buffer.from('86000000400007080000000000000000', 'hex'));
}

/** To all nodes: `target` is at `from` from now on (RFC 4861, 4.4). */
export function neighbourAdvertisement(from: string, source: Buffer, target: Buffer): Buffer {
  const head = Buffer.from('8800000020000000', 'hex');
  return icmpv6(from, source, Buffer.concat([head, target, Buffer.from([2, 1]), macBytes(from)]));
}

/** To all nodes: does anybody have `target`? `from` is about to take it (RFC 4862, 5.4.2). */
export function addressProbe(from: string, target: Buffer): Buffer {
  return icmpv6(from, UNKNOWN, Buffer.concat([Buffer.from('8700000000000000', 'hex'), target]));
}

function icmpv6(from: string, source: Buffer, message: Buffer): Buffer {
  const allNodes = Buffer.from(ALL_NODES, 'hex');
  const pseudoHeader = Buffer.concat([source, allNodes, Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58])]);
  message.writeUInt16BE(internetChecksum(Buffer.concat([pseudoHeader, message])), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, 58, 255]);
  return ethernet('33:33:00:00:00:01', from, ETH_P_IPV6, Buffer.concat([header, source, allNodes, message]));
}

/** RFC 1071. Of an even number of bytes. */
function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** Out of the interface of that index in the namespace, as they are. */
export function sendFrames(netns: string, interfaceIndex: number, frames: readonly Buffer[]): void {
  const namespaceFd = openSync(netns, 'r');
  try {
    // Of protocol 0 it receives nothing.
    const fd = withinNamespace(namespaceFd, () => socket(AF_PACKET, SOCK_RAW, 0));
    try {
      const address = Buffer.alloc(20);
      address.writeUInt16LE(AF_PACKET, 0);
      address.writeInt32LE(interfaceIndex, 4);
      bind(fd, address);
      for (const frame of frames) send(fd, frame);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(namespaceFd);
  }
}
