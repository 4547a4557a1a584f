package transport

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

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

// acquireLater acquires a slot in the background. The channel gets the refusal, or nil.
func acquireLater(a *admission, ip string) <-chan *Refusal {
	result := make(chan *Refusal, 1)
	go func() { result <- a.acquire(netip.MustParseAddr(ip)) }()
	synctest.Wait()
	return result
}

func TestAdmissionWaitsForAConnectionThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(2, 1)
		addr := netip.MustParseAddr
		require.Nil(t, a.acquire(addr("198.51.100.1")))
		require.Nil(t, a.acquire(addr("198.51.100.2")))
		require.Equal(t, "full", a.acquire(addr("198.51.100.3")).Reason, "no connection ends")

		a.countEnding(2)
		require.Equal(t, "per_ip", a.acquire(addr("198.51.100.1")).Reason)
		third, fourth := acquireLater(a, "198.51.100.3"), acquireLater(a, "198.51.100.4")
		require.Empty(t, third)
		require.Empty(t, fourth)
		require.Equal(t, "full", a.acquire(addr("198.51.100.5")).Reason, "as many wait as connections end")

		a.countEnding(-1)
		a.release(addr("198.51.100.1"))
		synctest.Wait()
		require.Nil(t, <-third, "the first one gets the slot")
		require.Empty(t, fourth)
		a.countEnding(-1)
		a.release(addr("198.51.100.2"))
		require.Nil(t, <-fourth)
		require.Equal(t, "full", a.acquire(addr("198.51.100.5")).Reason)

		a.release(addr("198.51.100.3"))
		a.release(addr("198.51.100.4"))
		require.Zero(t, a.total)
		require.Zero(t, a.ending)
		require.Empty(t, a.perIP)
	})
}

func TestAdmissionDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 1)
		require.Nil(t, a.acquire(netip.MustParseAddr("198.51.100.1")))
		a.countEnding(1)
		started := time.Now()
		refused := acquireLater(a, "198.51.100.2")
		require.Equal(t, "full", (<-refused).Reason)
		require.Equal(t, retryFull, time.Since(started))
		a.release(netip.MustParseAddr("198.51.100.1"))
		require.Zero(t, a.total, "its place in the queue is gone")
		require.Empty(t, a.perIP)
	})
}
