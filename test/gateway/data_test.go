package gateway_test

import (
	"encoding/base64"
	"testing"
	"unicode/utf8"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// JSON with bytes that are not UTF-8 must be treated as binary data. In a text frame it would end the connection of
// every browser that gets it, at once or from the history of the channel.
func TestDataThatIsNotUTF8IsBinary(t *testing.T) {
	t.Parallel()
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		const almost, encoded = "\"\xff\"", `"Iv8i"`
		json, plain := two.connectAnonymous(t), two.dial(t, "/ws?channel=kept:a")
		since := json.subscribeTo("kept:a")
		protobuf, _ := one.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{})
		protobuf.subscribeTo("kept:a")
		publish := func(data string) *cf.Command {
			return &cf.Command{Publish: &cf.PublishRequest{Channel: "kept:a", Data: []byte(data)}}
		}
		require.NotNil(t, protobuf.call(publish(almost)).Publish)
		require.NotNil(t, protobuf.call(publish(`"é"`)).Publish)

		require.Equal(t, almost, string(protobuf.publication().Data))
		require.Equal(t, "1:"+encoded, datas([]*cf.Publication{json.publication()}))
		require.Equal(t, `2:"é"`, datas([]*cf.Publication{json.publication()}))
		kind, data, err := plain.read()
		require.NoError(t, err)
		require.Equal(t, websocket.MessageBinary, kind)
		require.Equal(t, almost, data)
		plain.expect(`"é"`)

		const both = "1:" + encoded + ` 2:"é"`
		back := one.connectAnonymous(t)
		recovered := back.subscribe(&cf.SubscribeRequest{
			Channel: "kept:a",
			Recover: true,
			Epoch:   since.Epoch,
			Offset:  since.Offset,
		})
		require.True(t, recovered.Recovered)
		require.Equal(t, both, datas(recovered.Publications))
		require.Equal(t, both,
			datas(back.call(&cf.Command{History: &cf.HistoryRequest{Channel: "kept:a", Limit: -1}}).History.Publications))
		backInProtobuf, _ := two.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{})
		recovered = backInProtobuf.subscribe(&cf.SubscribeRequest{
			Channel: "kept:a",
			Recover: true,
			Epoch:   since.Epoch,
			Offset:  since.Offset,
		})
		require.Equal(t, "1:"+almost+` 2:"é"`, datas(recovered.Publications))

		api := one.callAPI(t, "history", `{"channel":"kept:a","limit":10}`)
		require.True(t, utf8.ValidString(api.body), "%q", api.body)
		var history struct {
			Result struct {
				Publications []struct {
					Data    any
					B64Data string `json:"b64data"`
				}
			}
		}
		api.json(t, &history)
		require.Len(t, history.Result.Publications, 2)
		require.Nil(t, history.Result.Publications[0].Data)
		require.Equal(t, "Iv8i", history.Result.Publications[0].B64Data)
		require.Equal(t, "é", history.Result.Publications[1].Data)

		// The JSON protocol carries JSON only, and this is none.
		once := &cf.Command{
			Rpc: &cf.RPCRequest{
				Method: "wsfleet.publish",
				Data:   []byte(`{"channel":"kept:a","data":` + almost + `,"idempotency_key":"k"}`),
			},
		}
		require.Equal(t, uint32(107), protobuf.code(once))
		json.quiet()
	}, withRules)
}

// JSON in bytes reaches clients of the JSON protocol as JSON, as at Centrifugo, and plain clients as the bytes that it
// came in.
func TestDataInBytesThatIsJSON(t *testing.T) {
	t.Parallel()
	g := start(t, withKey)
	json, plain := g.connectAnonymous(t), g.dial(t, "/ws?channel=a")
	json.subscribeTo("a")
	for b64data, want := range map[string]string{
		"eyJhIjpbMSwgMl19": `{"a":[1, 2]}`,
		"MTI=":             `12`,
		"AP8=":             `"AP8="`, // two bytes that are no JSON
		"aGVsbG8=":         `"aGVsbG8="`,
	} {
		require.NotContains(t, g.callAPI(t, "publish", `{"channel":"a","b64data":"`+b64data+`"}`).body, "error")
		require.Equal(t, want, string(json.publication().Data))
		kind, data, err := plain.read()
		require.NoError(t, err)
		require.Equal(t, websocket.MessageBinary, kind)
		require.Equal(t, b64data, base64.StdEncoding.EncodeToString([]byte(data)))
	}
}
