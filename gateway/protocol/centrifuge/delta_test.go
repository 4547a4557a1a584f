package centrifuge

import (
	"bytes"
	stdjson "encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cf "github.com/centrifugal/protocol"
	fdelta "github.com/shadowspore/fossil-delta"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// appliedTo returns the data of a publication as a client with deltas has it, which holds base of the one before.
func appliedTo(t *testing.T, d *deltaEncoding, pub *cf.Publication, base []byte) []byte {
	t.Helper()
	encoded, err := d.reply(&cf.Reply{Push: &cf.Push{Channel: "a", Pub: pub}})
	require.NoError(t, err)
	batch := d.newBatch()
	require.NoError(t, batch.Encode(encoded))
	decoded, err := decoder(d.encoding, batch.Finish()).Decode()
	require.NoError(t, err)
	data := []byte(decoded.Push.Pub.Data)
	if d.protocol == cf.TypeJSON {
		require.True(t, utf8.Valid(encoded), "%q", encoded)
		var text string
		require.NoError(t, stdjson.Unmarshal(data, &text))
		data = []byte(text)
	}
	if decoded.Push.Pub.Delta {
		data, err = fdelta.Apply(base, data)
		require.NoError(t, err)
	}
	return data
}

// FuzzDelta publishes any two messages in a row: a client has the same of the second by a delta as by the whole.
func FuzzDelta(f *testing.F) {
	long := strings.Repeat("the quick brown fox ", 20)
	for _, seed := range [][2]string{
		{`{"a":"` + long + `","n":1}`, `{"a":"` + long + `","n":2}`},
		{strings.Repeat("ä", 60), strings.Repeat("ä", 30) + "\xc3" + strings.Repeat("ä", 30)},
		{strings.Repeat("東京", 60), strings.Repeat("京東", 60)},
		{"", "x"}, {"x", ""}, {long, long}, {"\x00\xff" + long, "\xff\x00" + long}, {long, "{}"},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]), true)
		f.Add([]byte(seed[0]), []byte(seed[1]), false)
	}
	encodings := []*encoding{newJSON(time.Hour, time.Minute), newProtobuf(time.Hour, time.Minute)}
	f.Fuzz(func(t *testing.T, before, after []byte, binary bool) {
		first, second := broker.Publication{Data: before, Binary: binary}, broker.Publication{Data: after, Binary: binary}
		for _, e := range encodings {
			d := e.deltas
			pub, err := d.unchanged(first)
			require.NoError(t, err)
			base := appliedTo(t, d, pub, nil)
			pub, err = d.unchanged(second)
			require.NoError(t, err)
			whole := appliedTo(t, d, pub, nil)
			if e.protocol == cf.TypeJSON {
				require.True(t, utf8.Valid(whole) && stdjson.Valid(whole), "%q", whole)
			}
			changed, err := d.changed(first, second)
			require.NoError(t, err)
			if changed != nil {
				require.True(t, bytes.Equal(whole, appliedTo(t, d, changed, base)))
			}
		}
	})
}

func TestDeltaEncodingEncodesChanges(t *testing.T) {
	d := newJSON(time.Hour, time.Minute).deltas
	text := func(n string) broker.Publication {
		return broker.Publication{Data: []byte(`{"n":` + n + `,"text":"` + strings.Repeat("as before ", 20) + `"}`)}
	}
	changed, err := d.EncodeDelta("a", text("1"), text("2"))
	require.NoError(t, err)
	whole, err := d.Encode("a", text("2"))
	require.NoError(t, err)
	require.Less(t, changed.Len(), whole.Len()/2)

	unlike, err := d.EncodeDelta("a", text("1"), broker.Publication{Data: []byte(`{}`)})
	require.NoError(t, err)
	require.True(t, unlike.IsZero(), "the whole is smaller")
}
