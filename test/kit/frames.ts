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
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  header.writeUInt16BE(~sum & 0xffff, 10);
  header.writeUInt16BE(port, 20);
  header.writeUInt16BE(port, 22);
  header.writeUInt16BE(8 + data.length, 24);
  return ethernet(to, from, ETH_P_IP, Buffer.concat([header, data]));
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
