package canned

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recordingWire records the written frames.
type recordingWire struct{ written []string }

func (w *recordingWire) Write(frame string) { w.written = append(w.written, frame) }

// text encodes a frame as readable text.
func text(_ byte, payload []byte) string { return string(payload) }

func TestCommandsAnswerFrameTogether(t *testing.T) {
	f, w := New(text), &recordingWire{}
	c := f.Open(w, "/connection/websocket", func() { w.written = append(w.written, "101") })
	f.Message(c, OpText, []byte(`{"id":1,"connect":{}}`))
	f.Message(c, OpText,
		[]byte(`{"subscribe":{"channel":"a"},"id":2}`+"\n"+`{"id":3,"publish":{"data":{"channel":"b"},"channel":"a"}}`))
	f.Message(c, OpText, []byte(`{}`))
	require.Equal(t, []string{
		"101",
		`{"id":1,"connect":{"client":"floor","version":"floor","ping":25,"pong":true}}`,
		`{"id":2,"subscribe":{}}`,
		`{"push":{"channel":"a","pub":{"data":{"channel":"b"},` + publisher + `}}}`,
		`{"id":3,"publish":{}}`,
	}, w.written)
}

func TestFunctionSendsNothingAfterUnsubscribe(t *testing.T) {
	f, w := New(text), &recordingWire{}
	c := f.Open(w, "/connection/websocket", func() {})
	f.Message(c, OpText,
		[]byte(`{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":"a","recover":true,"offset":3}}`))
	require.Equal(t, missed, strings.Count(w.written[1], `{"data":`))
	f.Message(c, OpText, []byte(`{"id":3,"unsubscribe":{"channel":"a"}}`))
	require.Equal(t, `{"id":3,"unsubscribe":{}}`, w.written[2]) //nolint:testifylint // byte by byte
	f.channel(false, "a").write("x")
	require.Len(t, w.written, 3)
	require.Empty(t, c.seats)
}

func TestFunctionSendsNothingAfterClose(t *testing.T) {
	f := New(text)
	var wires [4]recordingWire
	var clients []*Client[string]
	for i := range wires {
		clients = append(clients, f.Open(&wires[i], "/ws?channel=a", func() {}))
	}
	for i, c := range clients {
		f.Message(c, OpText, []byte("x"))
		f.Close(c)
		require.Len(t, wires[i].written, i+1)
	}
}

func TestOpenSubscribesPlainClientBeforeAnswer(t *testing.T) {
	f, w := New(text), &recordingWire{}
	f.Open(w, "/ws?channel=a", func() { require.Empty(t, f.channels[channelKey{true, "a"}].seats) })
	require.Len(t, f.channels[channelKey{true, "a"}].seats, 1)
}

func TestOpenRefusesUnknownPaths(t *testing.T) {
	for _, target := range []string{"", "/", "/nowhere", "*", "%"} {
		require.Nil(t, New(text).Open(&recordingWire{}, target, func() { t.Error("answered") }), target)
	}
}

func TestMembers(t *testing.T) {
	for object, want := range map[string][][2]string{
		`{}`:                                     nil,
		``:                                       nil,
		`{"id":1,"connect":{}}`:                  {{"id", "1"}, {"connect", "{}"}},
		`{ "a" : "x\"}" , "b" : [1,{"c":"]"}] }`: {{"a", `"x\"}"`}, {"b", `[1,{"c":"]"}]`}},
		`{"a":true,"b":null}`:                    {{"a", "true"}, {"b", "null"}},
		`{"a":{"b":"c"`:                          {{"a", `{"b":"c"`}},
		`{"a`:                                    nil,
		`[1,2]`:                                  nil,
	} {
		var got [][2]string
		for key, value := range members([]byte(object)) {
			got = append(got, [2]string{string(key), string(value)})
		}
		require.Equal(t, want, got, object)
	}
}

func FuzzCommandsEnd(f *testing.F) {
	f.Add([]byte(`{"id":1,"connect":{}}` + "\n" + `{"id":2,"subscribe":{"channel":"a"}}`))
	f.Add([]byte(`{"id":3,"publish":{"channel":"a","data":"\\"}}`))
	f.Fuzz(func(_ *testing.T, frame []byte) {
		function := New(text)
		function.Message(function.Open(&recordingWire{}, "/connection/websocket", func() {}), OpText, frame)
	})
}
