package memory

import (
	"sync"
	"time"
)

// expiringMap is a map whose entries expire. It is safe for use by many goroutines.
type expiringMap[V any] struct {
	mu  sync.Mutex
	all map[string]expiring[V]
}

type expiring[V any] struct {
	value V
	until time.Time
}

// get returns an entry that has not expired.
func (l *expiringMap[V]) get(key string) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at(key, time.Now())
}

// put sets an entry and reports whether there was one that had not expired.
func (l *expiringMap[V]) put(key string, value V, ttl time.Duration) (had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	_, had = l.at(key, now)
	l.all[key] = expiring[V]{value, now.Add(ttl)}
	return had
}

func (l *expiringMap[V]) remove(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, key)
}

// at is get for a caller that holds mu.
func (l *expiringMap[V]) at(key string, now time.Time) (V, bool) {
	e, ok := l.all[key]
	if !ok || !e.until.After(now) {
		var none V
		return none, false
	}
	return e.value, true
}

func (l *expiringMap[V]) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.all {
		if !e.until.After(now) {
			delete(l.all, key)
		}
	}
}
