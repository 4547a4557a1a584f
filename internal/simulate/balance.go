package simulate

// list adds a gateway to those to which load balancers send clients, or removes it.
func (f *simulation) list(g *gateway, listed bool) {
	switch {
	case listed && g.listedAt < 0:
		g.listedAt = len(f.listed)
		f.listed = append(f.listed, g)
	case !listed && g.listedAt >= 0:
		last := f.listed[len(f.listed)-1]
		f.listed[g.listedAt], last.listedAt = last, g.listedAt
		f.listed = f.listed[:len(f.listed)-1]
		g.listedAt = -1
	}
}

// targets returns the gateways to which load balancers send clients. Where none is ready, Kubernetes sends them to
// those that terminate and are still ready.
func (f *simulation) targets() []*gateway {
	if len(f.listed) > 0 {
		return f.listed
	}
	var serving []*gateway
	for _, g := range f.gateways {
		if g.answers() && g.ready() && g.terminating() && g.drain != nil && !g.drain.handedOver {
			serving = append(serving, g)
		}
	}
	return serving
}

// accepted is the number of clients that a gateway accepts in a slot.
type accepted struct {
	gateway *gateway
	n       int64
}

// outcome counts the attempts of a slot by how they end.
type outcome struct{ accepted, refused, unanswered, unreachable int64 }

// arrive lets the clients whose attempt is in this slot connect. Each goes to a gateway at random, as with kube-proxy.
func (f *simulation) arrive() {
	due := f.clients.attempts.take(f.now)
	all := int64(0)
	for _, c := range due {
		all += c.count
	}
	if all > 0 {
		total := f.tryAll(all)
		f.measure.attempted(all, total)
		f.settle(due, total)
	}
	f.clients.attempts.giveBack(due)
}

// tryAll sends clients to the gateways. It leaves those that are accepted in f.accepted, and adds them to the gateways'
// connections.
func (f *simulation) tryAll(all int64) (total outcome) {
	targets := f.targets()
	f.accepted = f.accepted[:0]
	if len(targets) == 0 {
		total.unreachable = all
		return total
	}
	perSecond, most := int(*f.spec.Gateway.ConnectRate), int(*f.spec.Gateway.MaxConnections)
	f.random.spread(all, len(targets), func(i int, n int64) {
		g := targets[i]
		switch {
		case g.nodeLost:
			total.unanswered += n
			return
		case !g.answers():
			total.unreachable += n
			return
		}
		took, full := g.accept(f.now, n, perSecond, most)
		g.open += took
		f.measure.full += full
		total.accepted += took
		total.refused += n - took
		if took > 0 {
			f.accepted = append(f.accepted, accepted{g, took})
		}
	})
	return total
}

// settle decides at random which clients were accepted, and what the others do next.
func (f *simulation) settle(due []cohort, total outcome) {
	left := total
	clear(f.acceptedOf)
	for _, c := range due {
		failing := left.refused + left.unanswered + left.unreachable
		took := f.random.hypergeometric(c.count, left.accepted, left.accepted+failing)
		failed := c.count - took
		refused := f.random.hypergeometric(failed, left.refused, failing)
		unanswered := f.random.hypergeometric(failed-refused, left.unanswered, failing-left.refused)
		unreachable := failed - refused - unanswered
		left = outcome{
			accepted:    left.accepted - took,
			refused:     left.refused - refused,
			unanswered:  left.unanswered - unanswered,
			unreachable: left.unreachable - unreachable,
		}
		f.clients.away -= took
		f.acceptedOf[c.layer] += took
		f.measure.returned(f.now-c.left, took)
		f.clients.fail(f.now, with(c, refused), causeRefused)
		f.clients.fail(f.now, with(c, unanswered), causeUnanswered)
		f.clients.fail(f.now, with(c, unreachable), causeUnreachable)
	}
	f.mix(total.accepted)
}

func with(c cohort, count int64) cohort {
	c.count = count
	return c
}

// mix decides at random which layers the clients have that each gateway has accepted.
func (f *simulation) mix(all int64) {
	for _, one := range f.accepted {
		n, of := one.n, all
		for layer := range f.acceptedOf {
			part := n
			if layer < len(f.acceptedOf)-1 {
				part = f.random.hypergeometric(n, f.acceptedOf[layer], of)
			}
			of -= f.acceptedOf[layer]
			f.acceptedOf[layer] -= part
			one.gateway.byLayer[layer] += part
			n -= part
		}
		all -= one.n
	}
}
