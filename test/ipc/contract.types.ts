// What the compiler must refuse and accept of clients and handlers; checked by tsc, never run.
import { type Channel, fail, ok } from '../../shared/ipc/contract.ts';
import { echoContract } from './echo-contract.ts';

export async function clientTypes(channel: Channel): Promise<string> {
  const echo = channel.client(echoContract);
  // @ts-expect-error params of another shape
  await echo.echo({ txt: 'a' });
  // @ts-expect-error a request that the contract does not have
  await echo.sing({ text: 'a' });
  const answer = await echo.echo({ text: 'a' });
  // @ts-expect-error the value is there only after asking whether the answer is ok
  answer.value.text;
  if (answer.ok) return answer.value.text;
  switch (answer.error.code) {
    case 'TOO_LONG':
      return `${answer.error.length.toFixed(0)}`;
  }
}

export function handlerTypes(channel: Channel): void {
  // @ts-expect-error a handler is missing
  channel.serve(echoContract, { echo: ({ text }) => ok({ text }) });
  channel.serve(echoContract, {
    // @ts-expect-error an error that the contract does not declare
    echo: () => fail({ code: 'TIRED' }),
    count: () => ok({ count: 1 }),
  });
  // @ts-expect-error an event of another shape
  channel.publish(echoContract, 'echoed', { txt: 'a' });
}
