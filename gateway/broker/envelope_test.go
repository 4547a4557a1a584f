package broker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

func TestEnvelopeKeepsPublications(t *testing.T) {
	for _, p := range []broker.Publication{{Data: []byte{}}, {Data: []byte("text")}, {Data: []byte{0, 255}, Binary: true}} {
		got, err := broker.Decode(broker.Encode(p))
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
}

func TestUnreadableEnvelopes(t *testing.T) {
	for name, b := range map[string][]byte{"empty": nil, "short": {1}, "newer version": {2, 0, 'x'}, "unknown flag": {1, 2, 'x'}} {
		_, err := broker.Decode(b)
		require.ErrorIs(t, err, broker.ErrEnvelope, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 'a'})
	f.Add([]byte{1, 1, 0, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := broker.Decode(b)
		if err != nil {
			return
		}
		require.Equal(t, b, broker.Encode(p), "what is readable is what Encode writes")
	})
}
