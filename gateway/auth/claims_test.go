package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConnectionClaims(t *testing.T) {
	c, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, map[string]any{
		"sub":      "ann",
		"iat":      at(-60),
		"nbf":      at(-60),
		"exp":      at(60),
		"info":     map[string]string{"name": "Ann"},
		"channels": []string{"news", "user:ann"},
		"caps": []any{
			map[string]any{"channels": []string{"chat:*"}, "allow": []string{"sub", "pub"}, "match": "wildcard"}},
		"jti":  "1",
		"meta": map[string]int{"a": 1},
		"subs": map[string]any{
			"news":  map[string]any{"info": map[string]int{"n": 1}, "data": []int{1, 2}},
			"bytes": map[string]any{"b64info": "MQ==", "b64data": "AAE="},
			"bare":  nil,
		},
	}))
	require.NoError(t, err)
	require.Equal(t, &Claims{
		User: "ann", Info: json.RawMessage(`{"name":"Ann"}`), Channels: []string{"news", "user:ann", "bare", "bytes"},
		Subs: map[string]Sub{
			"news":  {Info: json.RawMessage(`{"n":1}`), Data: []byte(`[1,2]`)},
			"bytes": {Info: json.RawMessage(`1`), Data: []byte{0, 1}, Binary: true},
			"bare":  {},
		},
		Meta:     json.RawMessage(`{"a":1}`),
		Caps:     []Capability{{Channels: []string{"chat:*"}, Allow: []Permission{Subscribe, Publish}}},
		IssuedAt: time.Unix(at(-60), 0), ExpiresAt: time.Unix(at(60), 0),
	}, c)
}

func TestConnectionClaimsMayAllBeAbsent(t *testing.T) {
	for _, claims := range []string{`{}`, `{"sub":""}`,
		`{"info":null,"b64info":null,"channels":null,"caps":null,"channel":null}`, `{"channels":[],"caps":[],"aud":[]}`} {
		c, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, claims))
		require.NoError(t, err, claims)
		require.Empty(t, c.User)
		require.Nil(t, c.Info)
		require.Empty(t, c.Channels)
		require.Empty(t, c.Caps)
		require.True(t, c.IssuedAt.IsZero() && c.ExpiresAt.IsZero())
	}
}

func TestConnectionTimes(t *testing.T) {
	claim := func(name string, seconds int64) string { return fmt.Sprintf(`{"%s":%d}`, name, seconds) }
	for _, test := range []struct {
		claims string
		err    error
	}{
		{claim("exp", at(1)), nil},
		{claim("exp", at(0)), ErrExpired},
		{claim("exp", at(-1)), ErrExpired},
		{`{"exp":0}`, ErrExpired},
		{fmt.Sprintf(`{"exp": %d.75 }`, at(0)), ErrExpired},
		{fmt.Sprintf(`{"exp":%d.0e0}`, at(1)), nil},
		{claim("nbf", at(5)), nil},
		{claim("nbf", at(6)), ErrInvalid},
		{claim("iat", at(5)), nil},
		{claim("iat", at(6)), ErrInvalid},
		{claim("iat", 0), nil},
		{fmt.Sprintf(`{"exp":%d,"nbf":%d}`, at(-1), at(60)), ErrInvalid},
		{fmt.Sprintf(`{"exp":%d,"channel":"news"}`, at(-1)), ErrInvalid},
		{fmt.Sprintf(`{"exp":%d,"channels":1}`, at(-1)), ErrInvalid},
	} {
		_, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, test.claims))
		require.ErrorIs(t, err, test.err, test.claims)
		if errors.Is(test.err, ErrExpired) {
			require.NotErrorIs(t, err, ErrInvalid)
		}
	}
	token := signer{algorithm: "HS256", key: []byte(otherSecret)}.token(t, claim("exp", at(-1)))
	_, err := verifier(t, nil).Connection(t.Context(), token)
	require.ErrorIs(t, err, ErrInvalid, "who did not sign is not told what has expired")
	token = hs256().token(t, claim("nbf", at(60)))
	_, err = verifier(t, func(o *Options) { o.Leeway = time.Minute }).Connection(t.Context(), token)
	require.NoError(t, err)
	token = hs256().token(t, claim("exp", at(-1)))
	_, err = verifier(t, func(o *Options) { o.Leeway = time.Minute }).Connection(t.Context(), token)
	require.ErrorIs(t, err, ErrExpired, "exp has no leeway")
}

// expire_at is the end of the connection in the place of exp, and 0 is none. The token itself ends at exp.
func TestConnectionExpireAt(t *testing.T) {
	for _, test := range []struct {
		claims string
		want   int64
		err    error
	}{
		{fmt.Sprintf(`{"exp":%d,"expire_at":%d}`, at(60), at(600)), at(600), nil},
		{fmt.Sprintf(`{"exp":%d,"expire_at":%d}`, at(60), at(6)), at(6), nil},
		{fmt.Sprintf(`{"exp":%d,"expire_at":0}`, at(60)), 0, nil},
		{fmt.Sprintf(`{"expire_at":%d}`, at(6)), at(6), nil},
		{fmt.Sprintf(`{"exp":%d,"expire_at":null}`, at(60)), at(60), nil},
		{fmt.Sprintf(`{"exp":%d,"expire_at":%d}`, at(-1), at(600)), 0, ErrExpired},
		{fmt.Sprintf(`{"exp":%d,"expire_at":%d}`, at(60), at(0)), 0, ErrExpired},
		{fmt.Sprintf(`{"exp":%d,"expire_at":%d}`, at(60), at(1)), at(1), nil},
		{fmt.Sprintf(`{"expire_at":%d}`, at(-600)), 0, ErrExpired},
	} {
		c, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, test.claims))
		require.ErrorIs(t, err, test.err, test.claims)
		if err != nil {
			continue
		}
		if test.want == 0 {
			require.Zero(t, c.ExpiresAt, test.claims)
			continue
		}
		require.Equal(t, test.want, c.ExpiresAt.Unix(), test.claims)
	}
	s, err := verifier(t, nil).Subscription(t.Context(),
		hs256().token(t, fmt.Sprintf(`{"sub":"ann","channel":"a","exp":%d,"expire_at":0}`, at(60))), "ann", "a")
	require.NoError(t, err)
	require.Zero(t, s.ExpiresAt)
	_, err = verifier(t, nil).Subscription(t.Context(),
		hs256().token(t, fmt.Sprintf(`{"sub":"ann","channel":"a","expire_at":%d}`, at(-1))), "ann", "a")
	require.ErrorIs(t, err, ErrExpired)
}

// What Centrifugo's tokens say about channels and does nothing here is logged once.
func TestVerifierLogsOverrides(t *testing.T) {
	for name, c := range map[string]struct {
		claims string
		want   int
	}{
		"none":       {`{"subs":{"a":{"info":1}},"email":"ann@example.com"}`, 0},
		"of subs":    {`{"subs":{"a":{"override":{"presence":{"value":true}}}}}`, 1},
		"null":       {`{"subs":{"a":{"override":null}}}`, 0},
		"not signed": {`{"subs":{"a":{"override":{}}}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			v := verifier(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			s := hs256()
			if name == "not signed" {
				s = signer{algorithm: "HS256", key: []byte(otherSecret)}
			}
			for range 2 {
				_, _ = v.Connection(t.Context(), s.token(t, c.claims))
			}
			require.Equal(t, c.want, strings.Count(log.String(), "override"))
		})
	}
	var log strings.Builder
	v := verifier(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	_, err := v.Subscription(t.Context(), hs256().token(t, `{"channel":"a","override":{}}`), "", "a")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(log.String(), "override"))
}

func TestConnectionIssuerAndAudience(t *testing.T) {
	v := verifier(t, func(o *Options) { o.Issuer, o.Audience = "https://id.example", "wsfleet" })
	for claims, reason := range map[string]string{
		`{"iss":"https://id.example","aud":"wsfleet"}`:           "",
		`{"iss":"https://id.example","aud":["other","wsfleet"]}`: "",
		`{"iss":"https://id.example/","aud":"wsfleet"}`:          "its iss is another one",
		`{"iss":"HTTPS://id.example","aud":"wsfleet"}`:           "its iss is another one",
		`{"iss":["https://id.example"],"aud":"wsfleet"}`:         "its iss is no string",
		`{"aud":"wsfleet"}`:                                            "lacks iss or aud",
		`{"ISS":"https://id.example","aud":"wsfleet"}`:                 "lacks iss or aud",
		`{"iss":"https://id.example"}`:                                 "lacks iss or aud",
		`{"iss":"https://id.example","aud":[]}`:                        "lacks iss or aud",
		`{"iss":"https://id.example","aud":"other"}`:                   "its aud is another one",
		`{"iss":"https://id.example","aud":["wsfleet",1]}`:             "its aud is neither",
		`{"iss":"https://id.example","aud":{"wsfleet":true}}`:          "its aud is neither",
		`{"iss":"https://id.example","aud":null}`:                      "its aud is neither",
		`{"iss":"x","aud":"wsfleet","exp":` + fmt.Sprint(at(-1)) + `}`: "its iss is another one",
	} {
		_, err := v.Connection(t.Context(), hs256().token(t, claims))
		if reason == "" {
			require.NoError(t, err, claims)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid, claims)
		require.ErrorContains(t, err, reason, claims)
	}
}

func TestConnectionRefusesOddClaims(t *testing.T) {
	long := strings.Repeat("n", 256)
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for name, test := range map[string]struct{ claims, reason string }{
		"no JSON":                {`{"sub":`, "not three parts"},
		"two objects":            {`{} {}`, "not three parts"},
		"a list":                 {`[]`, "no JSON object"},
		"a string":               {`"ann"`, "no JSON object"},
		"null":                   {`null`, "no JSON object"},
		"not UTF-8":              {"{\"sub\":\"\xff\"}", "not UTF-8"},
		"sub twice":              {`{"sub":"ann","sub":"bob"}`, "a claim twice"},
		"sub twice, escaped":     {`{"sub":"ann","\u0073ub":"bob"}`, "a claim twice"},
		"anything twice":         {`{"x":1,"x":1}`, "a claim twice"},
		"sub is a number":        {`{"sub":1}`, "its sub is no string"},
		"sub is null":            {`{"sub":null}`, "its sub is no string"},
		"sub is a list":          {`{"sub":["ann"]}`, "its sub is no string"},
		"sub is long":            {`{"sub":"` + long + `"}`, "its sub is longer than 255"},
		"sub has a line break":   {`{"sub":"a\nb"}`, "control characters"},
		"exp is a string":        {jsonWith("exp", `"1"`), "its exp is no number"},
		"exp is null":            {jsonWith("exp", `null`), "its exp is no number"},
		"exp is true":            {jsonWith("exp", `true`), "its exp is no number"},
		"exp is a date":          {jsonWith("exp", `"2030-01-01T00:00:00Z"`), "its exp is no number"},
		"exp is negative":        {jsonWith("exp", `-1`), "its exp is no number"},
		"exp is in milliseconds": {jsonWith("exp", `1767225600000000`), "its exp is no number"},
		"exp is beyond a float":  {jsonWith("exp", `1e999`), "its exp is no number"},
		"nbf is beyond an int":   {jsonWith("nbf", `1e300`), "its nbf is no number"},
		"iat is a list":          {jsonWith("iat", `[1]`), "its iat is no number"},
		"iss is a number":        {jsonWith("iss", `1`), "its iss is no string"},
		"aud is a number":        {jsonWith("aud", `1`), "its aud is neither"},
		"info is large": {jsonWith("info", `"`+strings.Repeat("i", MaxInfo-1)+`"`),
			"its info is larger than 4096 bytes"},
		"b64info is large": {
			jsonWith("b64info", `"`+base64.StdEncoding.EncodeToString([]byte(`"`+strings.Repeat("i", MaxInfo-1)+`"`))+`"`),
			"its info is larger than 4096 bytes"},
		"b64info is no base64": {jsonWith("b64info", `"?"`), "not in base64"},
		"b64info is no string": {jsonWith("b64info", `1`), "its b64info is no string"},
		"b64info holds bytes":  {jsonWith("b64info", `"AAEC"`), "holds no JSON"},
		"b64info is not UTF-8": {jsonWith("b64info", `"`+base64.StdEncoding.EncodeToString([]byte("\"\xff\""))+`"`),
			"holds no JSON"},
		"channels is a string":   {jsonWith("channels", `"news"`), "its channels is not what it should be"},
		"channels of numbers":    {jsonWith("channels", `[1]`), "its channels is not what it should be"},
		"a channel without name": {jsonWith("channels", `["news",""]`), "no name of a channel"},
		"a channel that is null": {jsonWith("channels", `[null]`), "no name of a channel"},
		"a channel's long name":  {jsonWith("channels", `["`+long+`"]`), "no name of a channel"},
		"a channel with control": {jsonWith("channels", `["\u0000"]`), "no name of a channel"},
		"many channels":          {jsonWith("channels", list(129, `"c"`)), "its channels are more than 128"},
		"many with subs": {`{"channels":` + list(128, `"c"`) + `,"subs":{"d":{}}}`,
			"its channels are more than 128"},
		"subs is a list":     {jsonWith("subs", `["a"]`), "its subs is not what it should be"},
		"subs of strings":    {jsonWith("subs", `{"a":"b"}`), "its subs is not what it should be"},
		"a sub without name": {jsonWith("subs", `{"":{}}`), "its subs hold what is no name of a channel"},
		"a sub's large info": {jsonWith("subs", `{"a":{"info":"`+strings.Repeat("i", MaxInfo)+`"}}`),
			"its info is larger"},
		"a sub's large data": {jsonWith("subs", `{"a":{"data":"`+strings.Repeat("i", MaxInfo)+`"}}`),
			"its data is larger"},
		"a sub's odd b64data":   {jsonWith("subs", `{"a":{"b64data":1}}`), "its b64data is no string"},
		"a sub's b64info":       {jsonWith("subs", `{"a":{"b64info":"AAEC"}}`), "its b64info holds no JSON"},
		"meta is a list":        {jsonWith("meta", `[]`), "its meta is no JSON object"},
		"meta is large":         {jsonWith("meta", `{"m":"`+strings.Repeat("m", MaxInfo)+`"}`), "its meta is larger"},
		"expire_at is a string": {jsonWith("expire_at", `"1"`), "its expire_at is no number"},
		"caps is an object":     {jsonWith("caps", `{}`), "its caps is not what it should be"},
		"caps of strings":       {jsonWith("caps", `["news"]`), "its caps is not what it should be"},
		"caps with a string": {jsonWith("caps", `[{"channels":"news","allow":["sub"]}]`),
			"its caps is not what it should be"},
		"caps with all": {jsonWith("caps", `[{"channels":["news"],"allow":["all"]}]`), "unknown permission"},
		"caps with regexps": {jsonWith("caps", `[{"channels":["news"],"allow":["sub"],"match":"regex"}]`),
			"match other than wildcard"},
		"an empty pattern":       {jsonWith("caps", `[{"channels":[""],"allow":["sub"]}]`), "no pattern of channels"},
		"a long pattern":         {jsonWith("caps", `[{"channels":["`+long+`"],"allow":["sub"]}]`), "no pattern of channels"},
		"many caps":              {jsonWith("caps", list(65, `{}`)), "its caps are more than 64"},
		"many patterns":          {jsonWith("caps", `[{"channels":`+list(129, `"c"`)+`}]`), "more than 128 channels"},
		"a subscription's":       {`{"sub":"ann","channel":"news"}`, "is for a subscription"},
		"a subscription's, odd":  {`{"sub":"ann","channel":0}`, "is for a subscription"},
		"a subscription's, bare": {`{"sub":"ann","channel":""}`, "is for a subscription"},
	} {
		t.Run(name, func(t *testing.T) {
			token := hs256().token(t, test.claims)
			c, err := verifier(t, nil).Connection(t.Context(), token)
			require.Nil(t, c)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.reason)
			requireSecretive(t, err, token)
		})
	}
}

// Claims at their bounds are accepted.
func TestConnectionBounds(t *testing.T) {
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	name := strings.Repeat("n", 255)
	for _, claims := range []string{jsonWith("info", `"`+strings.Repeat("i", MaxInfo-2)+`"`),
		jsonWith("channels", list(128, `"c"`)), jsonWith("channels", `["`+name+`"]`),
		jsonWith("caps", list(64, `{"channels":["`+strings.Repeat("é", 8)+`"]}`)),
		jsonWith("caps", `[{"channels":["`+strings.Repeat("é", 255)+`"]}]`), `{"sub":"` + name + `"}`,
		jsonWith("exp", "253402300799"),
	} {
		_, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, claims))
		require.NoError(t, err)
	}
}

// encoding/json matches names of fields in any case; the names of claims are case-sensitive.
func TestConnectionClaimNamesAreCaseSensitive(t *testing.T) {
	claims := fmt.Sprintf(`{"sub":"ann","SUB":"bob","exp":%d,"Exp":1,"Channel":"news"}`, at(60))
	c, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, claims))
	require.NoError(t, err)
	require.Equal(t, "ann", c.User)
	require.Equal(t, time.Unix(at(60), 0), c.ExpiresAt)
}

func TestConnectionInfo(t *testing.T) {
	for claims, info := range map[string]string{
		`{"info":{"name": "Ann",` + "\n" + `"age":5}}`: `{"name":"Ann","age":5}`,
		`{"info":"Ann"}`: `"Ann"`,
		`{"info":0}`:     `0`,
		`{"b64info":"` + base64.StdEncoding.EncodeToString([]byte("{\"a\":\n1}")) + `"}`:         `{"a":1}`,
		`{"info":1,"b64info":"` + base64.StdEncoding.EncodeToString([]byte(`2`)) + `"}`:          `2`,
		`{"info":{"big":"` + strings.Repeat(`x`, 10) + `"}` + strings.Repeat(" ", MaxInfo) + `}`: `{"big":"xxxxxxxxxx"}`,
	} {
		c, err := verifier(t, nil).Connection(t.Context(), hs256().token(t, claims))
		require.NoError(t, err, claims)
		require.Equal(t, info, string(c.Info))
	}
}

func TestClaimsAllows(t *testing.T) {
	c := &Claims{
		Channels: []string{"news"},
		Caps: []Capability{{Channels: []string{"chat:*", "lobby"}, Allow: []Permission{Subscribe, Publish}},
			{Channels: []string{"*"}, Allow: []Permission{History}}, {Channels: []string{"x"}}},
	}
	for _, test := range []struct {
		permission Permission
		channel    string
		allowed    bool
	}{{Subscribe, "chat:1", true}, {Publish, "chat:1", true}, {Presence, "chat:1", false}, {History, "chat:1", true},
		{Publish, "lobby", true}, {Publish, "lobby2", false}, {Subscribe, "chat", false}, {Subscribe, "news", true},
		{Publish, "news", false}, {Subscribe, "x", false}, {History, "anything", true}, {"", "lobby", false},
	} {
		require.Equal(t, test.allowed, c.Allows(test.permission, test.channel), "%s %s", test.permission, test.channel)
	}
	var anonymous *Claims
	require.False(t, anonymous.Allows(Subscribe, "news"))
	require.False(t, (&Claims{}).Allows(Subscribe, "news"))
}

func TestSubscriptionClaims(t *testing.T) {
	v := verifier(t, nil)
	s, err := v.Subscription(t.Context(), hs256().token(t, map[string]any{
		"sub": "ann", "channel": "news", "iat": at(-1), "exp": at(60), "info": 1, "allow": []string{"pub", "prs"},
	}), "ann", "news")
	require.NoError(t, err)
	require.Equal(t, &SubscriptionClaims{
		User:      "ann",
		Channel:   "news",
		Info:      json.RawMessage(`1`),
		Allow:     []Permission{Publish, Presence},
		IssuedAt:  time.Unix(at(-1), 0),
		ExpiresAt: time.Unix(at(60), 0),
	}, s)
	s, err = v.Subscription(t.Context(), hs256().token(t, `{"channel":"news"}`), "", "news")
	require.NoError(t, err)
	require.Nil(t, s.Allow)
	s, err = v.Subscription(t.Context(), hs256().token(t, `{"channel":"news","allow":[]}`), "", "news")
	require.NoError(t, err)
	require.NotNil(t, s.Allow)
	require.Empty(t, s.Allow)
}

func TestSubscriptionRefuses(t *testing.T) {
	for _, test := range []struct {
		claims, user, channel string
		err                   error
		reason                string
	}{
		{`{"sub":"ann"}`, "ann", "news", ErrInvalid, "without the claim channel"},
		{`{"sub":"ann"}`, "ann", "", ErrInvalid, "without the claim channel"},
		{`{"sub":"ann","channel":null}`, "ann", "", ErrInvalid, "without the claim channel"},
		{`{"sub":"ann","Channel":"news"}`, "ann", "news", ErrInvalid, "without the claim channel"},
		{`{"sub":"ann","channel":""}`, "ann", "", ErrInvalid, "no name of a channel"},
		{`{"sub":"ann","channel":1}`, "ann", "1", ErrInvalid, "its channel is no string"},
		{`{"sub":"ann","channel":["news"]}`, "ann", "news", ErrInvalid, "its channel is no string"},
		{`{"sub":"ann","channel":"news*"}`, "ann", "news1", ErrInvalid, "another channel"},
		{`{"sub":"ann","channel":"news"}`, "ann", "News", ErrInvalid, "another channel"},
		{`{"sub":"ann","channel":"news"}`, "bob", "news", ErrInvalid, "another user"},
		{`{"sub":"ann","channel":"news"}`, "", "news", ErrInvalid, "another user"},
		{`{"channel":"news"}`, "ann", "news", ErrInvalid, "another user"},
		{`{"sub":1,"channel":"news"}`, "1", "news", ErrInvalid, "its sub is no string"},
		{`{"channel":"news","allow":["all"]}`, "", "news", ErrInvalid, "unknown permission"},
		{`{"channel":"news","allow":"pub"}`, "", "news", ErrInvalid, "its allow is not what it should be"},
		{`{"channel":"news","info":"` + strings.Repeat("i", MaxInfo) + `"}`, "", "news", ErrInvalid, "its info is larger"},
		{fmt.Sprintf(`{"channel":"news","nbf":%d}`, at(60)), "", "news", ErrInvalid, "its nbf"},
		{fmt.Sprintf(`{"channel":"news","exp":%d}`, at(0)), "", "news", ErrExpired, "its exp"},
		{fmt.Sprintf(`{"channel":"news","exp":%d}`, at(0)), "", "other", ErrInvalid, "another channel"},
	} {
		s, err := verifier(t, nil).Subscription(t.Context(), hs256().token(t, test.claims), test.user, test.channel)
		require.Nil(t, s)
		require.ErrorIs(t, err, test.err, test.claims)
		require.ErrorContains(t, err, test.reason, test.claims)
	}
}
