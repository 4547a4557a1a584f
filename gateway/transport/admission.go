package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
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
// before the handshake is answered, so that concurrent handshakes cannot exceed the limit. A handshake that
// finds no slot waits for that of a connection whose client has gone, if there is one: clients that are cut
// off together may be back before the gateway has worked through their ends.
type admission struct {
	max      int
	maxPerIP int

	// mu guards the fields below.
	mu    sync.Mutex
	total int
	// ending counts the connections with a slot whose input is over, so that their slots are free in a moment.
	ending int
	// waiting are the handshakes that wait for these slots, at most as many as ending, the first one first. The
	// channel of a handshake is closed when it has a slot.
	waiting []chan struct{}
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

// acquire takes a slot. It blocks while the slot is that of a connection that ends, for no longer than a refused client
// would stay away. The refusal is nil unless there is none.
func (a *admission) acquire(ip netip.Addr) *Refusal {
	ip = limitKey(ip)
	granted, refusal := a.take(ip)
	if granted == nil || a.await(granted) {
		return refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uncount(ip)
	return a.full()
}

// take takes a slot, or returns a channel that is closed when the handshake has one. The refusal is nil unless there is
// none and will be none.
func (a *admission) take(ip netip.Addr) (granted chan struct{}, refusal *Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	isFull := a.total >= a.max
	if isFull && len(a.waiting) >= a.ending {
		return nil, a.full()
	}
	if a.maxPerIP > 0 {
		if a.perIP[ip] >= a.maxPerIP {
			return nil, &Refusal{
				Status:     http.StatusTooManyRequests,
				Reason:     "per_ip",
				RetryAfter: retryPerIP,
				Message:    fmt.Sprintf("your address holds its %d connections; close one first", a.maxPerIP),
			}
		}
		a.perIP[ip]++
	}
	if !isFull {
		a.total++
		return nil, nil
	}
	granted = make(chan struct{})
	a.waiting = append(a.waiting, granted)
	return granted, nil
}

// await blocks until a handshake has a slot. It reports false when the handshake gets none in time.
func (a *admission) await(granted chan struct{}) bool {
	timeout := time.NewTimer(retryFull)
	defer timeout.Stop()
	select {
	case <-granted:
		return true
	case <-timeout.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.waiting, granted)
	if i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	}
	return i < 0
}

// full returns the refusal of a server without a slot.
func (a *admission) full() *Refusal {
	return &Refusal{
		Status:     http.StatusServiceUnavailable,
		Reason:     "full",
		RetryAfter: retryFull,
		Elsewhere:  true,
		Message:    fmt.Sprintf("this gateway holds its %d connections; try again later", a.max),
	}
}

// release returns a slot that acquire took for the same address. The first handshake that waits gets it.
func (a *admission) release(ip netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uncount(limitKey(ip))
	if len(a.waiting) == 0 {
		a.total--
		return
	}
	close(a.waiting[0])
	a.waiting[0] = nil
	a.waiting = a.waiting[1:]
}

// uncount counts one connection less of an address. The caller holds mu.
func (a *admission) uncount(ip netip.Addr) {
	if a.maxPerIP == 0 {
		return
	}
	if a.perIP[ip]--; a.perIP[ip] == 0 {
		delete(a.perIP, ip)
	}
}

// countEnding adds to the number of connections that are about to release their slots.
func (a *admission) countEnding(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ending += n
}

// hasEnding reports whether a connection is about to release its slot, and its file descriptor.
func (a *admission) hasEnding() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ending > 0
}

// free returns the number of slots that are free.
func (a *admission) free() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(0, a.max-a.total)
}
