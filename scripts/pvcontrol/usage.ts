// The words of `pvcontrol --help`, at most 80 columns wide.

export const USAGE = `Usage: pvcontrol [-s PATH] [--json | --table] COMMAND

Looks at and controls the containers of this device over its pv-ctrl socket.

Containers
  ls, containers ls             status, goal, address, pid and uptime of each
  containers start NAME         start a container
  containers stop NAME          stop it; recovery leaves it alone
  containers restart NAME       stop it and start it again
  groups ls                     groups in start order, with goal and status

Network
  ipam leases                   which container has which address
  ipam pools                    pools, their bridges, and how full they are

The device
  health                        what is not as it should be
  services                      Berth's own services: state, restarts, memory
  signal ready                  from inside a container: "I am ready"

Drivers
  drivers ls                    drivers of containers, and which are loaded
  drivers load [NAME]           load one, or all that are loaded on demand
  drivers unload [NAME]         unload it, or them

Metadata
  usrmeta ls                    what users told the device
  usrmeta save KEY VALUE        tell it something; the container NAME finds
                                NAME.KEY as /pantavisor/user-meta/KEY
  usrmeta delete KEY            forget it
  devmeta ls|save|delete        the same of what the device says about itself

Configuration
  conf ls                       every key, its value, and who set it
  config ls                     the same by older names, values only

Options
  -s PATH, --socket PATH        the socket; without it the first of
                                /run/pantavisor/pv/pv-ctrl, /pv/pv-ctrl,
                                /pantavisor/pv-ctrl
  --json                        the API's JSON instead of a table, which is
                                also what a pipe or a file gets
  --table                       a table also into a pipe or a file
  -h, --help                    this text

Exit codes: 0 done, 75 busy or not answering now (try again), 48 disk full,
60 bad checksum, 70 state verification failed, 255 anything else.
`;
