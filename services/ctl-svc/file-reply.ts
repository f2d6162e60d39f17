// A file as an answer: opened and measured, for whoever writes it to close.
import type { Reply } from './reply.ts';

/** Rejects with what the kernel says of it; nothing is open then. */
export async function fileReply(path: string, contentType: string): Promise<Reply> {
  const { open } = await import('node:fs/promises');
  const file = await open(path);
  try {
    const { size } = await file.stat();
    return { kind: 'file', file, bytes: size, contentType };
  } catch (error) {
    await file.close();
    throw error;
  }
}
