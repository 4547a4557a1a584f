package serverapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
)

func TestMethodsCallTheFleet(t *testing.T) {
	connection := `{"id":"c1","user":"42","protocol":"centrifuge","remoteIP":"192.0.2.1",` +
		`"connectedAt":"2027-01-15T08:00:00Z",` +
		`"queuedBytes":7,"channels":["kept:news"],"node":"gateway-0"}`
	cases := map[string]struct {
		method, body, result string
		calls                []string
	}{
		"publish": {
			"publish", `{"channel":"a","data":{"x": [1]}}`, `{}`,
			[]string{`Publish a "{\"x\": [1]}" binary=false tags=map[] {IdempotencyKey: SkipHistory:false}`},
		},
		"publish null": {"publish", `{"channel":"a","data":null}`, `{}`,
			[]string{`Publish a "null" binary=false tags=map[] {IdempotencyKey: SkipHistory:false}`}},
		"publish bytes": {"publish", `{"channel":"a","b64data":"AP8="}`, `{}`,
			[]string{`Publish a "\x00\xff" binary=true tags=map[] {IdempotencyKey: SkipHistory:false}`}},
		"publish bytes, no data": {"publish", `{"channel":"a","data":null,"b64data":"AP8="}`, `{}`,
			[]string{`Publish a "\x00\xff" binary=true tags=map[] {IdempotencyKey: SkipHistory:false}`}},
		"publish data, no bytes": {"publish", `{"channel":"a","data":1,"b64data":""}`, `{}`,
			[]string{`Publish a "1" binary=false tags=map[] {IdempotencyKey: SkipHistory:false}`}},
		"publish no bytes": {"publish", `{"channel":"a","b64data":""}`, `{}`,
			[]string{`Publish a "" binary=true tags=map[] {IdempotencyKey: SkipHistory:false}`}},
		"publish with all": {
			"publish", `{"channel":"kept:a","data":1,"tags":{"k":"v"},"idempotency_key":"i","skip_history":true}`, `{}`,
			[]string{`Publish kept:a "1" binary=false tags=map[k:v] {IdempotencyKey:i SkipHistory:true}`},
		},
		"publish, history": {
			"publish", `{"channel":"kept:b","data":1}`, `{"offset":1,"epoch":"epoch-1"}`,
			[]string{`Publish kept:b "1" binary=false tags=map[] {IdempotencyKey: SkipHistory:false}`},
		},
		"publish, more than we know": {
			"publish", `{"channel":"a","data":1,"delta":true,"version":0,"version_epoch":"","use_delta":null}`, `{}`,
			[]string{`Publish a "1" binary=false tags=map[] {IdempotencyKey: SkipHistory:false}`},
		},
		"subscribe": {
			"subscribe", `{"user":"42","channel":"a"}`, `{}`,
			[]string{`Subscribe 42/ a info= data="" binary=false until=0 since={Offset:0 Epoch:}`},
		},
		"subscribe with all": {"subscribe",
			`{"user":"42","client":"c1","channel":"a","info":{"x":1},"expire_at":1900000000,` +
				`"recover_since":{"offset":3,"epoch":"e"}}`,
			`{}`, []string{`Subscribe 42/c1 a info={"x":1} data="" binary=false until=1900000000 since={Offset:3 Epoch:e}`},
		},
		"subscribe and recover from a position of any epoch": {
			"subscribe", `{"user":"42","channel":"a","recover_since":{"offset":3}}`, `{}`,
			[]string{`Subscribe 42/ a info= data="" binary=false until=0 since={Offset:3 Epoch:}`},
		},
		"subscribe with data": {
			"subscribe", `{"user":"42","channel":"a","data":{"x":1}}`, `{}`,
			[]string{`Subscribe 42/ a info= data="{\"x\":1}" binary=false until=0 since={Offset:0 Epoch:}`},
		},
		"subscribe with bytes": {
			"subscribe", `{"user":"42","channel":"a","b64data":"AP8="}`, `{}`,
			[]string{`Subscribe 42/ a info= data="\x00\xff" binary=true until=0 since={Offset:0 Epoch:}`},
		},
		"subscribe with zeros": {"subscribe",
			`{"client":"c1","channel":"a","info":null,"data":null,"b64data":"","expire_at":0,` +
				`"recover_since":{"offset":0,"epoch":""},"session":"","label_filter":null}`,
			`{}`, []string{`Subscribe /c1 a info= data="" binary=false until=0 since={Offset:0 Epoch:}`},
		},
		"unsubscribe": {"unsubscribe", `{"user":"42","channel":"a"}`, `{}`, []string{`Unsubscribe 42/ a`}},
		"unsubscribe unknown connection": {"unsubscribe", `{"client":"c9","channel":"a"}`, `{}`,
			[]string{`Unsubscribe /c9 a`}},
		"disconnect": {"disconnect", `{"user":"42"}`, `{}`,
			[]string{`Disconnect 42/ 3503 "force disconnect" whitelist=[] revoke=false`}},
		"disconnect unknown connection": {"disconnect", `{"client":"c9"}`, `{}`,
			[]string{`Disconnect /c9 3503 "force disconnect" whitelist=[] revoke=false`}},
		"disconnect with reason": {"disconnect", `{"user":"42","disconnect":{"reason":"bye"}}`, `{}`,
			[]string{`Disconnect 42/ 3503 "bye" whitelist=[] revoke=false`}},
		"disconnect with all": {"disconnect",
			`{"user":"42","client":"c1","disconnect":{"code":4999,"reason":"bye"},"whitelist":["c2"],"revoke":true}`, `{}`,
			[]string{`Disconnect 42/c1 4999 "bye" whitelist=[c2] revoke=true`},
		},
		"refresh": {"refresh", `{"user":"42","expire_at":1900000000}`, `{}`,
			[]string{`Refresh 42/ until=1900000000 expired=false info=`}},
		"refresh with info": {"refresh", `{"user":"42","info":{"x":1}}`, `{}`,
			[]string{`Refresh 42/ until=0 expired=false info={"x":1}`}},
		"refresh with zeros": {"refresh", `{"user":"42","expire_at":0,"expired":false,"info":null}`, `{}`,
			[]string{`Refresh 42/ until=0 expired=false info=`}},
		"refresh for ever": {"refresh", `{"user":"42"}`, `{}`, []string{`Refresh 42/ until=0 expired=false info=`}},
		"refresh expired": {"refresh", `{"client":"c1","expired":true}`, `{}`,
			[]string{`Refresh /c1 until=0 expired=true info=`}},
		"send to a user": {"send", `{"user":"42","data":"hi"}`, `{"reached":2}`,
			[]string{`Send 42/ "\"hi\"" binary=false`}},
		"send to a client": {"send", `{"client":"c1","b64data":"AP8="}`, `{"reached":1}`,
			[]string{`Send /c1 "\x00\xff" binary=true`}},
		"send to user without connections": {"send", `{"user":"43","data":1}`, `{"reached":0}`,
			[]string{`Send 43/ "1" binary=false`}},
		"send to unknown connection": {"send", `{"client":"c9","data":1}`, `{"reached":0}`,
			[]string{`Send /c9 "1" binary=false`}},
		"presence": {"presence", `{"channel":"a"}`,
			`{"presence":{"c1":{"client":"c1","user":"42","conn_info":{"name":"Ada"},"chan_info":1},` +
				`"c2":{"client":"c2","user":""}}}`,
			[]string{`Presence a`}},
		"presence_stats": {"presence_stats", `{"channel":"a"}`, `{"num_clients":2,"num_users":1}`,
			[]string{`PresenceStats a`}},
		"history_remove": {"history_remove", `{"channel":"kept:none"}`, `{}`, []string{`RemoveHistory kept:none`}},
		"channels":       {"channels", `{"pattern":"none*"}`, `{"channels":{}}`, []string{`Channels none*`}},
		"channels, all":  {"channels", ``, `{"channels":{"kept:b":{"num_clients":2}}}`, []string{`Channels *`}},
		"info": {"info", `{}`,
			`{"nodes":[{"uid":"i-1","name":"gateway-0","version":"v1.0.0",` +
				`"num_clients":2,"num_users":1,"num_channels":3,"num_subs":4,"uptime":90,"process":{"cpu":12.5,"rss":1048576}}]}`,
			[]string{`Gateways `}},
		"info, empty body": {"info", ``,
			`{"nodes":[{"uid":"i-1","name":"gateway-0","version":"v1.0.0",` +
				`"num_clients":2,"num_users":1,"num_channels":3,"num_subs":4,"uptime":90,"process":{"cpu":12.5,"rss":1048576}}]}`,
			[]string{`Gateways `}},
		"connections": {"connections", `{"user":"42","limit":1}`, `{"connections":[` + connection + `]}`,
			[]string{`Connections {User:42 Channel: Limit:1}`}},
		"connections of user without any": {"connections", `{"user":"43"}`, `{"connections":[]}`,
			[]string{`Connections {User:43 Channel: Limit:100}`}},
		"connections of a channel": {
			"connections", `{"channel":"a"}`,
			`{"connections":[` + connection + `,` + strings.NewReplacer("c1", "c2", "centrifuge", "plain", `"kept:news"`,
				"").Replace(connection) + `]}`,
			[]string{`Connections {User: Channel:a Limit:100}`},
		},
	}
	s := serve(t)
	s.result(t, "publish", `{"channel":"kept:b","data":0,"skip_history":true}`)
	s.fleet.Calls()
	s.counts()
	// Its publication is what the list of channels finds.
	publish := cases["publish, history"]
	delete(cases, "publish, history")
	require.JSONEq(t, publish.result, s.result(t, publish.method, publish.body))
	require.Equal(t, publish.calls, s.fleet.Calls())
	s.counts()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.JSONEq(t, c.result, s.result(t, c.method, c.body))
			require.Equal(t, c.calls, s.fleet.Calls())
			require.Equal(t, []string{c.method + " ok"}, s.counts())
		})
	}
	require.Empty(t, s.log.String())
}

func TestMethodsRefuseInvalidRequests(t *testing.T) {
	long := strings.Repeat("x", 1001)
	tags := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"%d":""`, i))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	cases := map[string]struct {
		method, body string
		status, code int
		says         string
	}{
		"no JSON":             {"publish", `hello`, 400, 107, "not JSON: it goes wrong at byte 1"},
		"cut JSON":            {"publish", `{"channel":`, 400, 107, "not JSON"},
		"two bodies":          {"publish", `{}{}`, 400, 107, "not JSON"},
		"no text":             {"publish", "{\"channel\":\"a\",\"data\":\"\xff\"}", 400, 107, "b64data"},
		"no object":           {"publish", `[1]`, 400, 107, "the request body: want an object, not array"},
		"channel is a number": {"publish", `{"channel":5,"data":1}`, 400, 107, "channel: want a string, not number"},
		"b64data is a number": {"publish", `{"channel":"a","b64data":5}`, 400, 107,
			"b64data: want a string, not number"},
		"tags is a list": {"publish", `{"channel":"a","data":1,"tags":[]}`, 400, 107,
			"tags: want an object, not array"},
		"a tag is a number": {"publish", `{"channel":"a","data":1,"tags":{"k":5}}`, 400, 107, "tags"},
		"skip_history is a string": {"publish", `{"channel":"a","data":1,"skip_history":"yes"}`, 400, 107,
			"skip_history: want true or false, not string"},
		"channels is a string": {"broadcast", `{"channels":"a","data":1}`, 400, 107,
			"channels: want a list, not string"},
		"a channel is a number": {"broadcast", `{"channels":[5],"data":1}`, 400, 107,
			"channels: want a string, not number"},
		"expire_at is a fraction": {"refresh", `{"user":"u","expire_at":12345.5}`, 400, 107,
			"expire_at: want a whole number, not number"},
		"offset below 0": {"history", `{"channel":"a","since":{"offset":-1,"epoch":"e"}}`, 400, 107,
			"since.offset: want a whole number from 0, not number"},
		"user is an object": {"send", `{"user":{},"data":1}`, 400, 107, "user: want a string, not object"},
		"disconnect is a number": {"disconnect", `{"user":"u","disconnect":3000}`, 400, 107,
			"disconnect: want an object, not number"},
		"commands is an object": {"batch", `{"commands":{}}`, 400, 107, "commands: want a list, not object"},
		"no channel":            {"publish", `{"data":1}`, 200, 107, "channel"},
		"empty body":            {"presence", ``, 200, 107, "channel"},
		"channel is too long":   {"history", `{"channel":"` + strings.Repeat("x", 256) + `"}`, 200, 107, "channel"},
		"no data":               {"publish", `{"channel":"a"}`, 200, 107, "data is missing"},
		"both kinds":            {"publish", `{"channel":"a","data":1,"b64data":"AA=="}`, 200, 107, "not both"},
		"no base64":             {"publish", `{"channel":"a","b64data":"?"}`, 200, 107, "b64data is not base64"},
		"message too large": {"publish", `{"channel":"a","data":"` + long + `"}`, 200, 106,
			"max-message-bytes is 1000"},
		"body too large":      {"publish", strings.Repeat("x", 10_000), 413, 106, "max-message-bytes"},
		"broadcast too large": {"broadcast", strings.Repeat("x", 1<<20+1), 413, 106, "larger than 1048576 bytes"},
		"batch too large":     {"batch", strings.Repeat("x", 1<<20+1), 413, 106, "larger than 1048576 bytes"},
		"too many tags": {"publish", `{"channel":"a","data":1,"tags":` + tags(17) + `}`, 200, 106,
			"tags: 17 are more than 16"},
		"tag without a key": {"publish", `{"channel":"a","data":1,"tags":{"":"v"}}`, 200, 107,
			"tags: a key is empty"},
		"tag's key too long": {"publish", `{"channel":"a","data":1,"tags":{"` + long[:65] + `":""}}`, 200, 106,
			"tags: a key of 65 bytes"},
		"tag's value too long": {"publish", `{"channel":"a","data":1,"tags":{"k":"` + long[:257] + `"}}`, 200, 106,
			"tags: a value of 257 bytes"},
		"idempotency key too long": {"publish", `{"channel":"a","data":1,"idempotency_key":"` + long[:129] + `"}`, 200, 106,
			"idempotency_key: 129 bytes"},
		"versions":    {"publish", `{"channel":"a","data":1,"version":2}`, 200, 108, "version"},
		"no channels": {"broadcast", `{"channels":[],"data":1}`, 200, 107, "channels: is missing"},
		"too many channels": {"broadcast", `{"data":1,"channels":["x"` + strings.Repeat(`,"x"`, 1000) + `]}`, 200,
			106, "channels: 1001 are more than 1000"},
		"broadcast without data": {"broadcast", `{"channels":["a"]}`, 200, 107, "data is missing"},
		"no commands":            {"batch", `{}`, 200, 107, "commands: is missing"},
		"too many commands": {"batch", `{"commands":[{}` + strings.Repeat(`,{}`, 1000) + `]}`, 200, 106,
			"commands: 1001 are more than 1000"},
		"subscribe without target":  {"subscribe", `{"channel":"a"}`, 200, 107, "user: is missing: give user or client"},
		"subscribe to nothing":      {"subscribe", `{"user":"u"}`, 200, 107, "channel"},
		"subscribe until never was": {"subscribe", `{"user":"u","channel":"a","expire_at":-1}`, 200, 107, "expire_at"},
		"subscribe, milliseconds": {"subscribe", `{"user":"u","channel":"a","expire_at":253402300800}`, 200, 107,
			"expire_at: is no time in seconds"},
		"subscription info": {"subscribe",
			`{"user":"u","channel":"a","info":"` + strings.Repeat("x", auth.MaxInfo) + `"}`, 200, 106, "4096 bytes"},
		"subscription data": {"subscribe", `{"user":"u","channel":"a","data":"` + long + `"}`, 200, 106, "max-message-bytes"},
		"subscription data twice": {"subscribe", `{"user":"u","channel":"a","data":1,"b64data":"AP8="}`, 200, 107,
			"data: give data or b64data, not both"},
		"subscription data, no base64": {"subscribe", `{"user":"u","channel":"a","b64data":"?"}`, 200, 107, "not base64"},
		"refresh, info": {"refresh", `{"user":"u","info":"` + strings.Repeat("x", auth.MaxInfo) + `"}`, 200, 106,
			"4096 bytes"},
		"unsubscribe without target": {"unsubscribe", `{"channel":"a"}`, 200, 107, "user"},
		"unsubscribe from nothing":   {"unsubscribe", `{"user":"u"}`, 200, 107, "channel"},
		"a session":                  {"disconnect", `{"user":"u","session":"s"}`, 200, 108, "session: is not supported"},
		"a label filter": {"disconnect", `{"user":"u","label_filter":{"key":"k"}}`, 200, 108,
			"label_filter: is not supported"},
		"disconnect without target": {"disconnect", `{}`, 200, 107, "user"},
		"a code of the protocol": {"disconnect", `{"user":"u","disconnect":{"code":1000}}`, 200, 107,
			"disconnect.code: 1000 is not from 3000 to 4999"},
		"a code too high": {"disconnect", `{"user":"u","disconnect":{"code":5000}}`, 200, 107, "disconnect.code"},
		"a reason too long": {"disconnect", `{"user":"u","disconnect":{"reason":"` + long[:124] + `"}}`, 200, 106,
			"disconnect.reason: 124 bytes"},
		"revoke without user":          {"disconnect", `{"client":"c1","revoke":true}`, 200, 107, "revoke: needs user"},
		"refresh without target":       {"refresh", `{"expired":true}`, 200, 107, "user"},
		"refresh, below 0":             {"refresh", `{"user":"u","expire_at":-5}`, 200, 107, "expire_at"},
		"refresh unknown connection":   {"refresh", `{"client":"c9"}`, 200, 104, "no such connection"},
		"subscribe unknown connection": {"subscribe", `{"client":"c9","channel":"a"}`, 200, 104, "no such connection"},
		"subscribe connection of another user": {"subscribe", `{"client":"c1","user":"43","channel":"a"}`, 200, 104,
			"no such connection"},
		"send without target": {"send", `{"data":1}`, 200, 107, "user"},
		"send nothing":        {"send", `{"user":"u"}`, 200, 107, "data is missing"},
		"send too much":       {"send", `{"user":"u","data":"` + long + `"}`, 200, 106, "max-message-bytes"},
		"no presence":         {"presence", `{}`, 200, 107, "channel"},
		"no presence_stats":   {"presence_stats", `{}`, 200, 107, "channel"},
		"no history": {"history", `{"channel":"a"}`, 200, 108,
			"not available: the rule of this channel keeps no history"},
		"too much history": {"history", `{"channel":"kept:a","limit":10001}`, 200, 106,
			"limit: 10001 is more than 10000; read on with since"},
		"history of another epoch": {"history", `{"channel":"kept:a","since":{"offset":3,"epoch":"old"}}`, 200, 112,
			"unrecoverable position: since.epoch"},
		"remove nothing": {"history_remove", `{}`, 200, 107, "channel"},
		"pattern too long": {"channels", `{"pattern":"` + long[:256] + `"}`, 200, 106,
			"pattern: 256 characters"},
		"connections without user or channel": {"connections", `{}`, 200, 107, "give either user or channel"},
		"connections of both": {"connections", `{"user":"u","channel":"a"}`, 200, 107,
			"give either user or channel"},
		"connections below 0":       {"connections", `{"user":"u","limit":-1}`, 200, 107, "limit"},
		"too many connections":      {"connections", `{"user":"u","limit":1001}`, 200, 106, "limit: 1001 is more than 1000"},
		"connections of no channel": {"connections", `{"channel":"` + strings.Repeat("x", 256) + `"}`, 200, 107, "channel"},
		"connections by expression": {"connections", `{"user":"u","expression":"x"}`, 200, 108, "expression"},
	}
	s := serve(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s.call(t, c.method, c.body).requireError(t, c.status, c.code, c.says)
			outcome := map[bool]string{true: "error", false: "refused"}[c.status == http.StatusOK]
			require.Equal(t, []string{c.method + " " + outcome}, s.counts())
			if c.code == 106 || c.code == 107 {
				require.Empty(t, s.fleet.Calls(), "bad input changes nothing")
			}
			s.fleet.Calls()
		})
	}
	require.Empty(t, s.log.String())
}

func TestMethodsAcceptLimits(t *testing.T) {
	s := serve(t)
	x := strings.Repeat("x", 1000)
	for method, body := range map[string]string{
		"publish": `{"channel":"a","data":"` + x[:998] + `","idempotency_key":"` + x[:128] +
			`","tags":{"` + x[:64] + `":"` + x[:256] + `"}}`,
		"broadcast": `{"data":1,"channels":["x"` + strings.Repeat(`,"x"`, 999) + `]}`,
		"history":   `{"channel":"kept:a","limit":10000}`,
	} {
		s.result(t, method, body)
	}
	s.result(t, "disconnect", `{"user":"u","disconnect":{"code":3000,"reason":"`+x[:123]+`"}}`)
	s.result(t, "connections", `{"user":"u","limit":1000}`)
	s.call(t, "batch", `{"commands":[{"info":{}}`+strings.Repeat(`,{"info":{}}`, 999)+`]}`).requireOK(t)
}

func (got apiResponse) requireOK(t *testing.T) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.NotContains(t, got.body, `"error"`)
}

func TestPublishReportsRepetition(t *testing.T) {
	s := serve(t)
	body := `{"channel":"kept:a","data":1,"idempotency_key":"i"}`
	require.JSONEq(t, `{"offset":1,"epoch":"epoch-1"}`, s.result(t, "publish", body))
	require.JSONEq(t, `{"offset":1,"epoch":"epoch-1","repeated":true}`, s.result(t, "publish", body))
	require.JSONEq(t,
		`{"responses":[{"result":{"offset":1,"epoch":"epoch-1","repeated":true}},{"result":{"offset":1,"epoch":"epoch-1"}}]}`,
		s.result(t, "broadcast", `{"channels":["kept:a","kept:b"],"data":1,"idempotency_key":"i"}`))
}

func TestHistoryReadsStream(t *testing.T) {
	s := serve(t)
	s.result(t, "publish", `{"channel":"kept:a","data":{"x": "<&>"},"tags":{"k":"v"}}`)
	s.result(t, "publish", `{"channel":"kept:a","b64data":"AP8="}`)
	s.fleet.Keep("kept:a",
		broker.Publication{
			Data: []byte("no JSON"),
			Info: &broker.ClientInfo{Client: "c1", User: "42", ConnInfo: []byte(`{"a":1}`)},
		})
	all := []string{
		`{"data":{"x":"<&>"},"offset":1,"tags":{"k":"v"}}`, `{"b64data":"AP8=","offset":2}`,
		`{"data":"no JSON","offset":3,"info":{"client":"c1","user":"42","conn_info":{"a":1}}}`,
	}
	s.fleet.Calls()
	for name, c := range map[string]struct {
		more, asked string
		want        []string
	}{
		"position only": {``, `limit=0 since={Offset:0 Epoch:} reverse=false`, nil},
		"first":         {`,"limit":1`, `limit=1 since={Offset:0 Epoch:} reverse=false`, all[:1]},
		"as many": {`,"limit":-1,"since":{"offset":0,"epoch":""}`, `limit=10000 since={Offset:0 Epoch:} reverse=false`,
			all},
		"read on": {`,"limit":5,"since":{"offset":1,"epoch":"epoch-1"}`,
			`limit=5 since={Offset:1 Epoch:epoch-1} reverse=false`, all[1:]},
		"read on in any epoch": {`,"limit":5,"since":{"offset":2}`, `limit=5 since={Offset:2 Epoch:} reverse=false`, all[2:]},
		"reverse":              {`,"limit":9,"reverse":true`, `limit=9 since={Offset:0 Epoch:} reverse=true`, all},
	} {
		t.Run(name, func(t *testing.T) {
			require.JSONEq(t, `{"publications":[`+strings.Join(c.want, ",")+`],"offset":3,"epoch":"epoch-1"}`,
				s.result(t, "history", `{"channel":"kept:a"`+c.more+`}`))
			require.Equal(t, []string{"History kept:a " + c.asked}, s.fleet.Calls())
		})
	}
	require.Contains(t, s.call(t, "history", `{"channel":"kept:a","limit":1}`).body, `"<&>"`,
		"messages are served as they are")
}
