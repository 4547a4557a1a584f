package transport

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdmissionCountsAnIPv6NetworkOnce(t *testing.T) {
	a := newAdmission(10, 1)
	addr := netip.MustParseAddr
	require.Nil(t, a.acquire(addr("2001:db8:0:1::1")))
	refusal := a.acquire(addr("2001:db8:0:1:ffff::2"))
	require.NotNil(t, refusal, "another address of the same /64")
	require.Equal(t, "per_ip", refusal.Reason)
	require.Nil(t, a.acquire(addr("2001:db8:0:2::1")), "another /64")
	require.Nil(t, a.acquire(addr("198.51.100.1")))
	require.Nil(t, a.acquire(addr("198.51.100.2")), "IPv4 addresses count each for itself")

	a.release(addr("2001:db8:0:1::1"))
	require.Nil(t, a.acquire(addr("2001:db8:0:1:ffff::2")))
	for _, ip := range []string{"2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "198.51.100.1", "198.51.100.2"} {
		a.release(addr(ip))
	}
	require.Empty(t, a.perIP, "no address is left")
	require.Zero(t, a.total)
}
