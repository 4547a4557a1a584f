package redis

// subscriptions compares the names that a Pub/Sub connection should be subscribed to with those that it has been asked
// to subscribe to. Redis confirms each later, in order. The caller of its methods holds the lock of the pubSubConn.
type subscriptions struct {
	desired      map[string]func()
	acknowledged map[string]*acknowledged
	// dirty are the names that changed since next returned them.
	dirty map[string]struct{}
	// resumed is called with a name that is confirmed again, on a new connection.
	resumed func(name string)
}

// acknowledged is what the current connection has been asked for a name.
type acknowledged struct {
	subscribed bool
	// unconfirmed is the number of subscribe commands that Redis has not answered. Zero means that the latest of them is
	// confirmed.
	unconfirmed int
	// leaving is the number of unsubscribe commands that Redis has not answered.
	leaving int
}

func newSubscriptions(resumed func(name string)) subscriptions {
	return subscriptions{
		desired:      map[string]func(){},
		acknowledged: map[string]*acknowledged{},
		dirty:        map[string]struct{}{},
		resumed:      resumed,
	}
}

// subscribe adds a name. confirmed is called once, when Redis delivers it.
func (w *subscriptions) subscribe(name string, confirmed func()) {
	w.desired[name] = confirmed
	w.dirty[name] = struct{}{}
}

func (w *subscriptions) unsubscribe(name string) {
	delete(w.desired, name)
	w.dirty[name] = struct{}{}
}

// reset starts over with a new connection, which has not been asked for anything.
func (w *subscriptions) reset() {
	clear(w.acknowledged)
	clear(w.dirty)
	for name := range w.desired {
		w.dirty[name] = struct{}{}
	}
}

// next returns up to maxNames names to subscribe and unsubscribe, and the confirmations of names that Redis delivers
// already.
func (w *subscriptions) next(maxNames int) (subscribe, unsubscribe []string, confirmed []func()) {
	for name := range w.dirty {
		if len(subscribe)+len(unsubscribe) == maxNames {
			break
		}
		delete(w.dirty, name)
		_, wanted := w.desired[name]
		t := w.acknowledged[name]
		switch {
		case wanted && (t == nil || !t.subscribed):
			if t == nil {
				t = &acknowledged{}
				w.acknowledged[name] = t
			}
			t.subscribed = true
			t.unconfirmed++
			subscribe = append(subscribe, name)
		case wanted && t.unconfirmed == 0:
			confirmed = append(confirmed, w.confirmation(name))
		case !wanted && t != nil && t.subscribed:
			t.subscribed = false
			t.leaving++
			unsubscribe = append(unsubscribe, name)
		}
	}
	return subscribe, unsubscribe, confirmed
}

// confirm takes one answer to a subscribe command. It returns the function to call, or nil.
func (w *subscriptions) confirm(name string) func() {
	t := w.acknowledged[name]
	if t == nil || t.unconfirmed == 0 {
		return nil
	}
	if t.unconfirmed--; t.unconfirmed > 0 {
		return nil
	}
	if !t.subscribed {
		return nil
	}
	return w.confirmation(name)
}

// unsubscribed takes one answer to an unsubscribe command. It returns false when there was no such command and the name
// should be subscribed: Redis has ended the subscription.
func (w *subscriptions) unsubscribed(name string) bool {
	t := w.acknowledged[name]
	if t == nil || t.leaving == 0 {
		_, wanted := w.desired[name]
		return !wanted
	}
	if t.leaving--; t.leaving == 0 && t.unconfirmed == 0 && !t.subscribed {
		delete(w.acknowledged, name)
	}
	return true
}

// confirmation returns the name's confirmed function the first time, and afterwards a function that calls resumed.
func (w *subscriptions) confirmation(name string) func() {
	confirmed := w.desired[name]
	if confirmed == nil {
		return func() { w.resumed(name) }
	}
	w.desired[name] = nil
	return confirmed
}
