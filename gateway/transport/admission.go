package transport

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Retry hints for refused clients: a full gateway stays full for a while.
const (
	retryFull  = 5 * time.Second
	retryPerIP = 10 * time.Second
)

// Why a client was sent away before its request was there, as counted.
const (
	refusedTimeout = "handshake_timeout"
	refusedCrowd   = "handshake_crowd"
)

// admission counts connections against the limits. A slot is taken before the handshake is
// answered, so that a flood of handshakes cannot pass the limit.
type admission struct {
	max      int
	maxPerIP int

	mu    sync.Mutex
	total int
	perIP map[netip.Addr]int
}

func newAdmission(limit, perIP int) *admission {
	return &admission{max: limit, maxPerIP: perIP, perIP: map[netip.Addr]int{}}
}

// holder is whom an address counts for. One subscriber of IPv6 has a whole /64 to choose addresses
// from.
func holder(ip netip.Addr) netip.Addr {
	if !ip.Is6() {
		return ip
	}
	return netip.PrefixFrom(ip, 64).Masked().Addr()
}

// acquire takes a slot, or says why there is none.
func (a *admission) acquire(ip netip.Addr) *Refusal {
	ip = holder(ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= a.max {
		return &Refusal{Status: http.StatusServiceUnavailable, Reason: "full", Message: fmt.Sprintf("this gateway holds its %d connections; try again later", a.max), RetryAfter: retryFull}
	}
	if a.maxPerIP > 0 && a.perIP[ip] >= a.maxPerIP {
		return &Refusal{Status: http.StatusTooManyRequests, Reason: "per_ip", Message: fmt.Sprintf("your address holds its %d connections; close one first", a.maxPerIP), RetryAfter: retryPerIP}
	}
	a.total++
	if a.maxPerIP > 0 {
		a.perIP[ip]++
	}
	return nil
}

func (a *admission) release(ip netip.Addr) {
	ip = holder(ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.maxPerIP > 0 {
		if a.perIP[ip]--; a.perIP[ip] == 0 {
			delete(a.perIP, ip)
		}
	}
}
