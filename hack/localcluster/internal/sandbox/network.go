package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

// nodeLink carries the node's address. It is a bridge without ports because
// not every kernel knows links of type dummy.
const nodeLink = "node0"

// SetUpNetwork configures the network namespace of the calling thread: the node's address, a default route, without
// which addresses of Services are not routed, and forwarding between pods. It returns an error when the kernel refuses.
func SetUpNetwork(node netip.Prefix) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback link: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("bring up the loopback link: %w", err)
	}
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: nodeLink}}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("add bridge %s: %w", nodeLink, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{
		IP:   node.Addr().AsSlice(),
		Mask: net.CIDRMask(node.Bits(), node.Addr().BitLen()),
	}}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("add address %s: %w", node, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", nodeLink, err)
	}
	route := &netlink.Route{LinkIndex: link.Index, Gw: node.Addr().AsSlice()}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("add default route: %w", err)
	}
	for _, sysctl := range []string{"ip_forward", "conf/all/route_localnet"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+sysctl, []byte("1"), 0o600); err != nil {
			return fmt.Errorf("set net.ipv4 %s: %w", sysctl, err)
		}
	}
	return nil
}
