// FORWARD chains as others commonly write them: for `iptables-restore`, each with the policy DROP, and firewalld's.

const table = (chains: readonly string[], rules: readonly string[]): string =>
  ['*filter', ':FORWARD DROP [0:0]', ...chains.map((chain) => `:${chain} - [0:0]`), ...rules, 'COMMIT', ''].join('\n');

/** Docker up to version 27, with the default bridge and one network of somebody's own. */
export const DOCKER = table(
  ['DOCKER', 'DOCKER-ISOLATION-STAGE-1', 'DOCKER-ISOLATION-STAGE-2', 'DOCKER-USER'],
  [
    '-A FORWARD -j DOCKER-USER',
    '-A FORWARD -j DOCKER-ISOLATION-STAGE-1',
    '-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A FORWARD -o docker0 -j DOCKER',
    '-A FORWARD -i docker0 ! -o docker0 -j ACCEPT',
    '-A FORWARD -i docker0 -o docker0 -j ACCEPT',
    '-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
    '-A DOCKER-ISOLATION-STAGE-1 -j RETURN',
    '-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP',
    '-A DOCKER-ISOLATION-STAGE-2 -j RETURN',
    '-A DOCKER-USER -j RETURN',
  ],
);

/** Docker from version 28 on. */
export const DOCKER_28 = table(
  ['DOCKER', 'DOCKER-BRIDGE', 'DOCKER-CT', 'DOCKER-FORWARD', 'DOCKER-ISOLATION-STAGE-1', 'DOCKER-USER'],
  [
    '-A FORWARD -j DOCKER-USER',
    '-A FORWARD -j DOCKER-FORWARD',
    '-A DOCKER ! -i docker0 -o docker0 -j DROP',
    '-A DOCKER-BRIDGE -o docker0 -j DOCKER',
    '-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A DOCKER-FORWARD -j DOCKER-CT',
    '-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1',
    '-A DOCKER-FORWARD -j DOCKER-BRIDGE',
    '-A DOCKER-FORWARD -i docker0 -j ACCEPT',
  ],
);

/** ufw 0.36; `refusal`: the rule of DEFAULT_FORWARD_POLICY="REJECT", none for "DROP". */
const ufw = (refusal: readonly string[]): string =>
  table(
    ['before-logging', 'before', 'after', 'after-logging', 'reject', 'track']
      .map((part) => `ufw-${part}-forward`)
      .concat('ufw-user-forward'),
    [
      '-A FORWARD -j ufw-before-logging-forward',
      '-A FORWARD -j ufw-before-forward',
      '-A FORWARD -j ufw-after-forward',
      '-A FORWARD -j ufw-after-logging-forward',
      '-A FORWARD -j ufw-reject-forward',
      '-A FORWARD -j ufw-track-forward',
      '-A ufw-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "',
      '-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT',
      '-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT',
      '-A ufw-before-forward -j ufw-user-forward',
      ...refusal,
    ],
  );
export const UFW = ufw([]);
export const UFW_REJECT = ufw(['-A ufw-reject-forward -j REJECT --reject-with icmp-port-unreachable']);

/** As people write one by hand: the policy once more as a rule, and a word on each. */
export const BY_HAND = table(
  [],
  [
    '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A FORWARD -m comment --comment "the rest -j ACCEPT" -j LOG',
    '-A FORWARD -m comment --comment "the rest" -j REJECT',
  ],
);

/** firewalld's forward chain, for `nft -f`: a zone for each interface, and the default zone's word for all others. */
export const FIREWALLD = `table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_FORWARD_POLICIES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_POLICIES {
    iifname "wan0" jump filter_FWD_public
    iifname "wan0" reject with icmpx admin-prohibited
    jump filter_FWD_public
    reject with icmpx admin-prohibited
  }
  chain filter_FWD_public {
    jump filter_FWD_public_allow
  }
  chain filter_FWD_public_allow {
    oifname "wan0" accept
  }
  chain filter_FWD_trusted {
    log prefix "trusted drop: " accept comment "drop nothing"
  }
}
`;

/** What `firewall-cmd --zone=trusted --add-interface=` adds to it, of several releases. */
export const firewalldTrusts = (bridge: string, how: 'goto' | 'accept'): string =>
  how === 'goto'
    ? `insert rule inet firewalld filter_FORWARD_POLICIES iifname "${bridge}" goto filter_FWD_trusted`
    : `insert rule inet firewalld filter_FORWARD_POLICIES iifname "${bridge}" accept`;
