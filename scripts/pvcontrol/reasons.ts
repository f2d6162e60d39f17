// What health says of one container. In: the socket and its name; out: sentences.
import * as z from 'zod/mini';
import { ask } from './control-socket.ts';

const health = z.object({ reasons: z.array(z.object({ subject: z.string(), message: z.string() })) });

/** None also where nobody tells. */
export async function reasonsOf(socket: string, container: string): Promise<readonly string[]> {
  const body = await ask(socket, 'GET', '/health').then(
    (answer) => answer.body,
    () => '',
  );
  const subjects = [container, `container ${container}`];
  return reasonsIn(body).flatMap(({ subject, message }) => (subjects.includes(subject) ? message : []));
}

/** Those who have no rights are answered otherwise. */
function reasonsIn(body: string): z.output<typeof health>['reasons'] {
  try {
    return health.safeParse(JSON.parse(body)).data?.reasons ?? [];
  } catch {
    return [];
  }
}
