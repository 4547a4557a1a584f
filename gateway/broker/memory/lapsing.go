package memory

import (
	"sync"
	"time"
)

// lapsing is a map whose entries are over after a while.
type lapsing[V any] struct {
	mu  sync.Mutex
	all map[string]lapse[V]
}

type lapse[V any] struct {
	value V
	until time.Time
}

// get returns what is there and not over.
func (l *lapsing[V]) get(key string) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at(key, time.Now())
}

// put sets an entry and reports whether there was one.
func (l *lapsing[V]) put(key string, value V, ttl time.Duration) (had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	_, had = l.at(key, now)
	l.all[key] = lapse[V]{value, now.Add(ttl)}
	return had
}

func (l *lapsing[V]) remove(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, key)
}

// at is get with the lock held.
func (l *lapsing[V]) at(key string, now time.Time) (V, bool) {
	e, ok := l.all[key]
	if !ok || !e.until.After(now) {
		var none V
		return none, false
	}
	return e.value, true
}

func (l *lapsing[V]) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.all {
		if !e.until.After(now) {
			delete(l.all, key)
		}
	}
}
