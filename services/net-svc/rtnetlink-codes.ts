// The numbers of rtnetlink's messages and attributes that Berth uses (linux/rtnetlink.h, if_link.h, if_addr.h, net_namespace.h).

// Messages.
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;
export const RTM_NEWNSID = 88;
export const RTM_GETNSID = 90;

// Attributes of links.
export const IFLA_ADDRESS = 1;
export const IFLA_INET_CONF = 1;
export const IFLA_INFO_KIND = 1;
export const IFLA_MACVLAN_MODE = 1;
export const IFLA_INET6_CONF = 2;
export const IFLA_INFO_DATA = 2;
export const IFLA_IFNAME = 3;
export const IFLA_LINK = 5;
export const IFLA_INET6_ADDR_GEN_MODE = 8;
export const IFLA_MASTER = 10;
export const IFLA_LINKINFO = 18;
export const IFLA_IFALIAS = 20;
export const IFLA_AF_SPEC = 26;
export const IFLA_GROUP = 27;
export const IFLA_NET_NS_FD = 28;
export const IFLA_EXT_MASK = 29;
export const IFLA_NUM_TX_QUEUES = 31;
export const IFLA_NUM_RX_QUEUES = 32;
export const IFLA_LINK_NETNSID = 37;
export const IFLA_BR_MULTI_BOOLOPT = 46;

// Attributes of addresses.
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_BROADCAST = 4;

// Attributes of routes.
export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;

// Attributes of namespaces.
export const NETNSA_NSID = 1;
export const NETNSA_PID = 2;
export const NETNSA_FD = 3;

// Values.
export const AF_INET = 2;
export const AF_INET6 = 10;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
export const RTPROT_STATIC = 4;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RTN_UNICAST = 1;
export const IN6_ADDR_GEN_MODE_NONE = 1;
export const DEVCONF_ACCEPT_RA = 3; // linux/ipv6.h
export const IPV4_DEVCONF_ARP_NOTIFY = 22; // linux/ip.h
export const VETH_INFO_PEER = 1;
/** linux/if_bridge.h; the first bit. */
export const BR_BOOLOPT_NO_LL_LEARN = 1 << 0;
export const MACVLAN_MODE_BRIDGE = 4;
export const RTEXT_FILTER_SKIP_STATS = 8;
export const IFF_UP = 1;
export const IFF_RUNNING = 0x40;
