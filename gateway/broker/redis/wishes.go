package redis

// wishes are the channels that a link should be subscribed to, against what its connection was told.
// Its owner locks it. Redis confirms subscriptions later, one by one and in order.
type wishes struct {
	wanted map[string]func()
	told   map[string]*told
	// dirty are names whose wish changed since they were last looked at.
	dirty map[string]struct{}
	// resumed is told of a wish that is confirmed once more: its connection is a new one.
	resumed func(name string)
}

// told is what the current connection knows of a name.
type told struct {
	subscribed bool
	// unconfirmed counts subscribe commands that Redis has not answered. Only when it is zero again is
	// the latest of them confirmed. leaving counts the same for unsubscribe.
	unconfirmed, leaving int
}

func newWishes(resumed func(name string)) wishes {
	return wishes{wanted: map[string]func(){}, told: map[string]*told{}, dirty: map[string]struct{}{}, resumed: resumed}
}

// want records a wish; confirmed is called once.
func (w *wishes) want(name string, confirmed func()) {
	w.wanted[name] = confirmed
	w.dirty[name] = struct{}{}
}

func (w *wishes) unwant(name string) {
	delete(w.wanted, name)
	w.dirty[name] = struct{}{}
}

// forget starts over with a new connection, which was told nothing.
func (w *wishes) forget() {
	clear(w.told)
	clear(w.dirty)
	for name := range w.wanted {
		w.dirty[name] = struct{}{}
	}
}

// next is what to tell the connection, at most so many names, and what is confirmed already.
func (w *wishes) next(most int) (subscribe, unsubscribe []string, confirmed []func()) {
	for name := range w.dirty {
		if len(subscribe)+len(unsubscribe) == most {
			break
		}
		delete(w.dirty, name)
		_, wanted := w.wanted[name]
		t := w.told[name]
		switch {
		case wanted && (t == nil || !t.subscribed):
			if t == nil {
				t = &told{}
				w.told[name] = t
			}
			t.subscribed = true
			t.unconfirmed++
			subscribe = append(subscribe, name)
		case wanted && t.unconfirmed == 0:
			confirmed = append(confirmed, w.settle(name))
		case !wanted && t != nil && t.subscribed:
			t.subscribed = false
			t.leaving++
			unsubscribe = append(unsubscribe, name)
		}
	}
	return subscribe, unsubscribe, confirmed
}

// confirm takes one confirmation from Redis, and returns whom to tell.
func (w *wishes) confirm(name string) func() {
	t := w.told[name]
	if t == nil || t.unconfirmed == 0 {
		return nil
	}
	if t.unconfirmed--; t.unconfirmed > 0 {
		return nil
	}
	if !t.subscribed {
		return nil
	}
	return w.settle(name)
}

// left takes one answer to an unsubscribe from Redis. It reports false when nobody asked for it and
// the name is wanted: the subscription is lost.
func (w *wishes) left(name string) bool {
	t := w.told[name]
	if t == nil || t.leaving == 0 {
		_, wanted := w.wanted[name]
		return !wanted
	}
	if t.leaving--; t.leaving == 0 && t.unconfirmed == 0 && !t.subscribed {
		delete(w.told, name)
	}
	return true
}

// settle hands a wish's confirmation out, once; whatever confirms it again says that it was resumed.
func (w *wishes) settle(name string) func() {
	confirmed := w.wanted[name]
	if confirmed == nil {
		return func() { w.resumed(name) }
	}
	w.wanted[name] = nil
	return confirmed
}
