package centrifuge

import (
	"bytes"
	stdbase64 "encoding/base64"
	"encoding/binary"
	stdjson "encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cf "github.com/centrifugal/protocol"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

func TestIsBinary(t *testing.T) {
	inJSON, inProtobuf := newJSON(time.Hour, time.Minute), newProtobuf(time.Hour, time.Minute)
	for data, binary := range map[string]bool{
		`{"a":1}`:          false,
		`"text"`:           false,
		`"é"`:              false,
		`"\ud800"`:         false,
		"\"\xff\"":         true,
		"\"\xed\xa0\x80\"": true,
		"{\"\xff\":1}":     true,
		"hello":            true,
		"":                 true,
		"\x00\xff":         true,
	} {
		require.Equal(t, binary, inProtobuf.isBinary([]byte(data)), "%q", data)
		require.False(t, inJSON.isBinary([]byte(data)), "%q: decoding it would have failed", data)
	}
}

// FuzzData publishes any data: clients of either encoding get it in a form that they can read.
func FuzzData(f *testing.F) {
	for _, seed := range []string{`{"a":[1,null]}`, `"text"`, "\"\xff\"", "{\"\xff\":1}", "{\n}", "\"\u2028\"", `"\ud800"`,
		"hello", "", "\x00\xff", "\n", "1 2", `"`} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	inJSON, inProtobuf := newJSON(time.Hour, time.Minute), newProtobuf(time.Hour, time.Minute)
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		for _, p := range []broker.Publication{{Data: data, Binary: binary},
			{Data: data, Binary: inProtobuf.isBinary(data)}} {
			require.True(t, bytes.Equal(data, received(t, inProtobuf, p)))
			got := received(t, inJSON, p)
			require.True(t, utf8.Valid(got), "%q", got)
			require.True(t, stdjson.Valid(got), "%q", got)
			switch {
			case utf8.Valid(data) && stdjson.Valid(data):
				require.Equal(t, compacted(t, data), compacted(t, got))
			case p.Binary:
				var text string
				require.NoError(t, stdjson.Unmarshal(got, &text))
				decoded, err := stdbase64.StdEncoding.DecodeString(text)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, decoded))
			case utf8.Valid(data):
				var text string
				require.NoError(t, stdjson.Unmarshal(got, &text))
				require.Equal(t, string(data), text)
			}
		}
	})
}

// received returns the data of a publication as a client decodes it from a push and from a history.
func received(t *testing.T, e *encoding, p broker.Publication) []byte {
	t.Helper()
	pushed, err := e.Encode("a", p)
	require.NoError(t, err)
	require.False(t, pushed.IsZero())
	publications, err := e.publications([]broker.Publication{p})
	require.NoError(t, err)
	var got [][]byte
	for _, r := range []*cf.Reply{{Push: &cf.Push{Channel: "a", Pub: publications[0]}},
		{Id: 1, History: &cf.HistoryResult{Publications: publications}}} {
		b, err := e.reply(r)
		require.NoError(t, err)
		if e.protocol == cf.TypeJSON {
			require.True(t, utf8.Valid(b), "%q", b)
			require.NotContains(t, string(b), "\n", "it would be two replies")
		}
		batch := e.newBatch()
		require.NoError(t, batch.Encode(b))
		decoded, err := decoder(e, batch.Finish()).Decode()
		require.NoError(t, err)
		if decoded.Push != nil {
			got = append(got, decoded.Push.Pub.Data)
			continue
		}
		got = append(got, decoded.History.Publications[0].Data)
	}
	require.True(t, bytes.Equal(got[0], got[1]), "%q %q", got[0], got[1])
	return got[0]
}

func decoder(e *encoding, frame []byte) cf.ReplyDecoder {
	if e.protocol == cf.TypeProtobuf {
		return cf.NewProtobufReplyDecoder(frame)
	}
	return cf.NewJSONReplyDecoder(frame)
}

func compacted(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, stdjson.Compact(&b, text))
	return b.String()
}

// A command may have the maximum size, wherever in its frame it is, and no more.
func TestEncodingCheckSizes(t *testing.T) {
	const maxBytes = 10
	small, largest, tooLarge := strings.Repeat("a", 3), strings.Repeat("b", maxBytes), strings.Repeat("c", maxBytes+1)
	for name, e := range map[string]*encoding{"json": newJSON(time.Minute, 0), "protobuf": newProtobuf(time.Minute, 0)} {
		frame := func(commands ...string) []byte {
			if e.protocol == cf.TypeJSON {
				return []byte(strings.Join(commands, "\n"))
			}
			var b []byte
			for _, c := range commands {
				b = append(binary.AppendUvarint(b, uint64(len(c))), c...)
			}
			return b
		}
		for _, c := range []struct {
			frame []byte
			err   error
		}{
			{frame(), nil},
			{frame(largest), nil},
			{frame(tooLarge), errTooBig},
			{frame(small, largest, small, largest), nil},
			{frame(small, tooLarge), errTooBig},
			{frame(tooLarge, small), errTooBig},
			{frame(small, small, small, small, small), nil},
			{frame(largest, largest, tooLarge), errTooBig},
		} {
			require.ErrorIs(t, e.checkSizes(c.frame, maxBytes), c.err, "%s: %q", name, c.frame)
		}
	}
	protobuf := newProtobuf(time.Minute, 0)
	for _, malformed := range [][]byte{
		bytes.Repeat([]byte{0xff}, 20),
		append([]byte{200, 1}, make([]byte, 50)...),
		append([]byte{0}, bytes.Repeat([]byte{0x80}, 30)...),
	} {
		require.NoError(t, protobuf.checkSizes(malformed, maxBytes), "the decoder refuses it")
		require.ErrorIs(t, protobuf.commands(malformed, func(*cf.Command) error { return nil }), errMalformed)
	}
}
