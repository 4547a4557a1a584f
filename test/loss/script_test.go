package loss

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Sizes of the texts of large channels. Most are small: a client that misses half a minute of a channel,
// on a machine that is busy, must not miss more than the gateway's max-queued-bytes.
const (
	leastText = 2 << 10
	mostText  = 32 << 10
)

// largeChannels is how many channels have large publications: they are those of the first listener, so
// that it and some others have several, and most have one or none.
const largeChannels = 5

func large(channel int) bool {
	for n := range largeChannels {
		if channel == channelOf(0, n) {
			return true
		}
	}
	return false
}

// script is what is published: every publication is another one, and known from its channel and number,
// so that one that is cut short, or mixed up with another, is found.
type script struct {
	// letters are what texts are parts of.
	letters []byte
}

func newScript() *script {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	r, s := rand.New(rand.NewPCG(1, 2)), &script{letters: make([]byte, 2*mostText)}
	for i := range s.letters {
		s.letters[i] = alphabet[r.IntN(len(alphabet))]
	}
	return s
}

// data is one publication's, in JSON.
func (s *script) data(channel int, number uint64) []byte {
	head := fmt.Appendf(nil, `{"channel":%d,"number":%d`, channel, number)
	if large(channel) {
		head = append(append(append(head, `,"text":"`...), s.text(channel, number)...), '"')
	}
	return append(head, '}')
}

func (s *script) text(channel int, number uint64) []byte {
	r := rand.New(rand.NewPCG(uint64(channel), number))
	size := leastText + r.IntN(1+r.IntN(1+r.IntN(mostText-leastText)))
	from := r.IntN(len(s.letters) - size)
	return s.letters[from : from+size]
}

// bytes is how long the publications after a number are, up to another one.
func (s *script) bytes(channel int, after, last uint64) (sum int) {
	for number := after + 1; number <= last; number++ {
		sum += len(s.data(channel, number))
	}
	return sum
}

// fault says what is wrong with a publication's data, or nothing.
func (s *script) fault(channel int, number uint64, got []byte) string {
	want := s.data(channel, number)
	if bytes.Equal(got, want) {
		return ""
	}
	same := 0
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	return fmt.Sprintf("%d bytes instead of %d, of which the first %d are right; it begins with %.60q", len(got),
		len(want), same, got)
}
