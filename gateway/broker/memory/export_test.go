package memory

import "time"

// Sweep throws away what is over, as Run does.
func Sweep(b *Broker) { b.sweep(time.Now()) }

// Size is how many things a broker keeps.
func Size(b *Broker) int {
	n := len(b.about.all) + len(b.users.all) + len(b.occupied.all) + len(b.revoked.all)
	for i := range stripes {
		n += len(b.streams[i].open) + len(b.streams[i].published.all) + len(b.presence[i].open)
	}
	return n
}
