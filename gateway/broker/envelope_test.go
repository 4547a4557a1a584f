package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// publications are one of each sort.
func publications() []broker.Publication {
	info := &broker.ClientInfo{Client: "c1", User: "u", ConnInfo: []byte(`{"a":1}`), ChanInfo: []byte(`[]`)}
	return []broker.Publication{
		{Data: []byte{}},
		{Data: []byte("text")},
		{Data: []byte{0, 255}, Binary: true},
		{Data: []byte("by a client"), Info: info},
		{Data: []byte("by somebody"), Info: &broker.ClientInfo{}},
		{Data: []byte("tagged"), Tags: map[string]string{"b": "2", "a": "", "": "x"}},
		{Data: []byte("all of it"), Binary: true, Info: info, Tags: map[string]string{"k": "v"}},
		{Kind: broker.KindJoin, Data: []byte{}, Info: info},
		{Kind: broker.KindLeave, Data: []byte{}, Info: info},
	}
}

func TestEnvelopeKeepsPublications(t *testing.T) {
	for _, p := range publications() {
		got, err := broker.Decode(broker.Encode(p))
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
}

func TestSizeIsTheLengthOfTheEnvelope(t *testing.T) {
	all := publications()
	for _, length := range []int{127, 128, 16_383, 16_384, 1 << 21} {
		all = append(all,
			broker.Publication{
				Info: &broker.ClientInfo{ConnInfo: make([]byte, length)},
				Tags: map[string]string{"k": strings.Repeat("v", length)},
			})
	}
	for _, p := range all {
		require.Len(t, broker.Encode(p), broker.Size(p))
		if p.Info != nil {
			require.Equal(t, len(broker.AppendInfo(nil, *p.Info))+len(p.Info.Client)+broker.MemberOverhead,
				broker.SizeOfMember(*p.Info))
		}
	}
}

func TestDecodeReadsAPositionInFront(t *testing.T) {
	for _, p := range publications() {
		p.Position = broker.Position{Offset: 1<<53 - 1, Epoch: "k3j9x0ab"}
		got, err := broker.Decode(append(broker.AppendPosition(nil, p.Position), broker.Encode(p)...))
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
}

func TestDecodeRejectsUnreadableEnvelopes(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":                nil,
		"short":                {2},
		"older version":        {1, 0, 'x'},
		"newer version":        {4, 0, 'x'},
		"unknown flag":         {2, 32, 'x'},
		"unknown kind":         {2, 6},
		"half a position":      {3, 0, 0},
		"half an epoch":        {3, 0, 0, 0, 0, 0, 0, 0, 1, 8, 'e'},
		"position alone":       {3, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'e'},
		"two positions":        broker.AppendPosition(broker.AppendPosition(nil, broker.Position{}), broker.Position{}),
		"no info":              {2, 8},
		"half an info":         {2, 8, 5, 'a'},
		"more tags than bytes": {2, 16, 255, 255, 255, 255, 15},
		"endless number":       {2, 16, 255},
	} {
		_, err := broker.Decode(b)
		require.ErrorIs(t, err, broker.ErrEnvelope, name)
	}
}

func TestReadInfoReturnsWhatWasAppended(t *testing.T) {
	for _, i := range []broker.ClientInfo{{}, {Client: "c", User: "ü", ConnInfo: []byte("{}")}} {
		got, err := broker.ReadInfo(broker.AppendInfo(nil, i))
		require.NoError(t, err)
		require.Equal(t, i, got)
	}
	for _, b := range [][]byte{nil, {1}, append(broker.AppendInfo(nil, broker.ClientInfo{}), 'x')} {
		_, err := broker.ReadInfo(b)
		require.ErrorIs(t, err, broker.ErrEnvelope)
	}
}

// What most publications are is read without anything but their memory.
func TestDecodeOfAPlainEnvelopeAllocatesNothing(t *testing.T) {
	b := broker.Encode(broker.Publication{Data: []byte("hello")})
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = broker.Decode(b) }))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { broker.Encode(broker.Publication{Data: b}) }), 1.0)
}

func TestPositionTTLOutlivesPublications(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		time.Minute:         24 * time.Hour,
		30 * 24 * time.Hour: 60 * 24 * time.Hour,
	} {
		require.Equal(t, want, broker.PositionTTL(channel.History{Size: 1, TTL: channel.Duration(ttl)}))
	}
}

func TestFingerprintOfDistinguishesPublications(t *testing.T) {
	text := broker.FingerprintOf(broker.Publication{Data: []byte("a")})
	require.Equal(t, text, broker.FingerprintOf(broker.Publication{Data: []byte("a"), Tags: map[string]string{"a": "b"}}))
	require.NotEqual(t, text, broker.FingerprintOf(broker.Publication{Data: []byte("a"), Binary: true}))
	require.NotEqual(t, text, broker.FingerprintOf(broker.Publication{Data: []byte("b")}))
}

func TestNewEpochDoesNotRepeat(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		epoch := broker.NewEpoch()
		require.Regexp(t, "^[0-9a-z]{8}$", epoch)
		require.False(t, seen[epoch])
		seen[epoch] = true
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	for _, p := range publications() {
		f.Add(broker.Encode(p))
		f.Add(append(broker.AppendPosition(nil, broker.Position{Offset: 7, Epoch: "epoch"}), broker.Encode(p)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := broker.Decode(b)
		if err != nil {
			require.ErrorIs(t, err, broker.ErrEnvelope)
			return
		}
		var again []byte
		if b[0] == 3 {
			again = broker.AppendPosition(nil, p.Position)
		}
		back, err := broker.Decode(append(again, broker.Encode(p)...))
		require.NoError(t, err)
		if len(p.Tags) == 0 {
			p.Tags = nil
		}
		require.Equal(t, p, back, "what is readable is written and read again as the same")
	})
}

func FuzzReadInfo(f *testing.F) {
	f.Add([]byte{})
	f.Add(broker.AppendInfo(nil, broker.ClientInfo{Client: "c", User: "u", ConnInfo: []byte("{}")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := broker.ReadInfo(b)
		if err != nil {
			return
		}
		back, err := broker.ReadInfo(broker.AppendInfo(nil, i))
		require.NoError(t, err)
		require.Equal(t, i, back)
	})
}
