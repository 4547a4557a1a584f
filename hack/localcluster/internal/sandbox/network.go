package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nodeLink carries the node's address. On the first node it is a bridge, because not every kernel knows links of type
// dummy, and because the links of the other nodes become its ports.
const nodeLink = "node0"

// SetUpNetwork configures the network namespace of the calling thread for the first node of a cluster. It returns an
// error when the kernel refuses.
func SetUpNetwork(node netip.Prefix) error {
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: nodeLink}}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("add bridge %s: %w", nodeLink, err)
	}
	return configure(node)
}

// JoinNetwork configures the network namespace of the calling thread for a further node, and connects it to the bridge
// of the first node, which is in the namespace named first. port names the node's port of that bridge. It returns an
// error when the kernel refuses.
func JoinNetwork(node netip.Prefix, first, port string) error {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }()
	if err := Within(first, 0, func() error { return addPort(port, int(own.Fd())) }); err != nil {
		return err
	}
	return configure(node)
}

// addPort adds a port to the bridge of the calling thread's namespace, in place of an older one of that name. Its other
// end becomes the node's link of the namespace peer.
func addPort(port string, peer int) error {
	// The kernel removes the link of a deleted namespace some time later.
	if older, err := netlink.LinkByName(port); err == nil {
		if err := netlink.LinkDel(older); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove link %s: %w", port, err)
		}
	}
	bridge, err := netlink.LinkByName(nodeLink)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", nodeLink, err)
	}
	link := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: port, MasterIndex: bridge.Attrs().Index},
		PeerName:      nodeLink,
		PeerNamespace: netlink.NsFd(peer),
	}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("add link %s: %w", port, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", port, err)
	}
	return nil
}

// configure gives the node's link its address and a default route, without which addresses of Services are not routed,
// and lets the namespace forward between pods.
func configure(node netip.Prefix) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback link: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("bring up the loopback link: %w", err)
	}
	link, err := netlink.LinkByName(nodeLink)
	if err != nil {
		return fmt.Errorf("find %s: %w", nodeLink, err)
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(node)}); err != nil {
		return fmt.Errorf("add address %s: %w", node, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", nodeLink, err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: node.Addr().AsSlice()}
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

// Route sends what goes to a network through another node, in the network namespace of that name. It replaces a route
// to the same network, and returns an error when the kernel refuses.
func Route(name string, network netip.Prefix, via netip.Addr) error {
	return Within(name, 0, func() error {
		route := &netlink.Route{Dst: ipNet(network), Gw: via.AsSlice()}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("add route to %s: %w", network, err)
		}
		return nil
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
