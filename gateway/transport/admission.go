package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How long a refused client should wait before it tries again.
const (
	retryFull  = 5 * time.Second
	retryPerIP = 10 * time.Second
)

// Reasons of refusals before a complete request, as the metric's label.
const (
	refusedTimeout = "handshake_timeout"
	refusedCrowd   = "handshake_crowd"
	// refusedProxyProtocol is a PROXY protocol header where none may be, or none where one must be.
	refusedProxyProtocol = "proxy_protocol"
)

// admission limits the number of connections, in total and per address. A connection acquires its slot
// before the handshake is answered, so that concurrent handshakes cannot exceed the limit.
type admission struct {
	max      int
	maxPerIP int

	// mu guards the fields below.
	mu    sync.Mutex
	total int
	// perIP counts by limitKey. It stays empty without a limit per address.
	perIP map[netip.Addr]int
}

func newAdmission(limit, perIP int) *admission {
	return &admission{max: limit, maxPerIP: perIP, perIP: map[netip.Addr]int{}}
}

// limitKey returns the address that a client's address counts for: a /64 network of IPv6 counts as one
// client, because one subscriber can use all its addresses.
func limitKey(ip netip.Addr) netip.Addr {
	if !ip.Is6() {
		return ip
	}
	return netip.PrefixFrom(ip, 64).Masked().Addr()
}

// acquire takes a slot. The refusal is nil unless there is none.
func (a *admission) acquire(ip netip.Addr) *Refusal {
	ip = limitKey(ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= a.max {
		return &Refusal{
			Status:     http.StatusServiceUnavailable,
			Reason:     "full",
			RetryAfter: retryFull,
			Elsewhere:  true,
			Message:    fmt.Sprintf("this gateway holds its %d connections; try again later", a.max),
		}
	}
	if a.maxPerIP > 0 && a.perIP[ip] >= a.maxPerIP {
		return &Refusal{
			Status:     http.StatusTooManyRequests,
			Reason:     "per_ip",
			RetryAfter: retryPerIP,
			Message:    fmt.Sprintf("your address holds its %d connections; close one first", a.maxPerIP),
		}
	}
	a.total++
	if a.maxPerIP > 0 {
		a.perIP[ip]++
	}
	return nil
}

// release returns a slot that acquire took for the same address.
func (a *admission) release(ip netip.Addr) {
	ip = limitKey(ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.maxPerIP > 0 {
		if a.perIP[ip]--; a.perIP[ip] == 0 {
			delete(a.perIP, ip)
		}
	}
}

// free returns the number of slots that are free.
func (a *admission) free() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(0, a.max-a.total)
}
