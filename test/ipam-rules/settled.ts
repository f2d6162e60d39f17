// What the tests of IPAM's rules have in common: devices of state-svc beside peers that remember every call, and baked addresses.
import type { ContainerSpec, Device } from '../state-svc/device.ts';
import { useDevices } from '../state-svc/kit.ts';

/** Makes a device for the test that runs, which has decided what to run; the one before it, or the end of the test, closes it. */
export function useSettledDevices() {
  const make = useDevices();
  return async (
    containers: Readonly<Record<string, ContainerSpec>>,
    deviceJson?: object,
    prepare = (_device: Device): void => undefined,
  ): Promise<Device> => {
    const device = await make(containers, deviceJson);
    prepare(device);
    await (await device.boot()).settled;
    return device;
  };
}

/** What was asked of ipam-svc, net-svc and lxc-svc. */
export const calls = ({ world }: Device): readonly string[] => world.calls.filter((call) => !call.startsWith('log.'));

export const CONF = 'a/lxc.container.conf';
export const veth = (address: string) => `lxc.net.0.type = veth\nlxc.net.0.ipv4.address = ${address}\n`;
