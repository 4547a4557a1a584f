package loss

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Sizes in bytes of the texts in large channels. Most are small: a client that misses half a minute of a channel, on a
// busy machine, must not miss more than the gateway's max-queued-bytes.
const (
	minText = 2 << 10
	maxText = 32 << 10
)

// largeChannels is the number of channels with large publications. They are channels of the first listener, so that
// this and some other listeners have several of them, and most have one or none.
const largeChannels = 5

func large(channel int) bool {
	for n := range largeChannels {
		if channel == channelOf(0, n) {
			return true
		}
	}
	return false
}

// script defines the data of every publication by its channel and number. All differ, so that a test finds
// publications that are truncated or mixed up.
type script struct {
	// alphabetText is random text. The texts of publications are parts of it.
	alphabetText []byte
}

func newScript() *script {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	r, s := rand.New(rand.NewPCG(1, 2)), &script{alphabetText: make([]byte, 2*maxText)}
	for i := range s.alphabetText {
		s.alphabetText[i] = alphabet[r.IntN(len(alphabet))]
	}
	return s
}

// data returns the data of a publication in JSON.
func (s *script) data(channel int, number uint64) []byte {
	head := fmt.Appendf(nil, `{"channel":%d,"number":%d`, channel, number)
	if large(channel) {
		head = append(append(append(head, `,"text":"`...), s.text(channel, number)...), '"')
	}
	return append(head, '}')
}

func (s *script) text(channel int, number uint64) []byte {
	r := rand.New(rand.NewPCG(uint64(channel), number))
	size := minText + r.IntN(1+r.IntN(1+r.IntN(maxText-minText)))
	from := r.IntN(len(s.alphabetText) - size)
	return s.alphabetText[from : from+size]
}

// bytes returns the size of the publications after a number up to and including last.
func (s *script) bytes(channel int, after, last uint64) (sum int) {
	for number := after + 1; number <= last; number++ {
		sum += len(s.data(channel, number))
	}
	return sum
}

// fault describes how got differs from the data of a publication; empty when it does not.
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
