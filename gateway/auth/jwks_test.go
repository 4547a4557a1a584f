package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/stretchr/testify/require"
)

// jwk returns the JWK of a pair's public key, named after the pair unless another name is given.
func jwk(t testing.TB, pair string, change func(*jwkset.JWKMarshal)) string {
	t.Helper()
	k, err := jwkset.NewJWKFromKey(pairs()[pair].Public(),
		jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: pair}})
	require.NoError(t, err)
	m := k.Marshal()
	if change != nil {
		change(&m)
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

func jwks(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// endpoint serves a JWK Set that a test may change, and counts requests.
type endpoint struct {
	*httptest.Server
	asked atomic.Int64

	mu     sync.Mutex
	status int
	answer string
	// entered and leave, where they are set, let a test hold up an answer.
	entered, leave chan struct{}
}

func serve(t *testing.T, answer string) *endpoint {
	e := &endpoint{status: http.StatusOK, answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.asked.Add(1)
		e.mu.Lock()
		status, answer, entered, leave := e.status, e.answer, e.entered, e.leave
		e.mu.Unlock()
		if entered != nil {
			entered <- struct{}{}
			<-leave
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) say(status int, answer string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.answer = status, answer
}

// clock is a clock that a test sets.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time          { return noon().Add(time.Duration(c.passed.Load())) }
func (c *clock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// follower returns a verifier with an endpoint's keys, and its clock.
func follower(t *testing.T, url string) (*Verifier, *clock) {
	c := &clock{}
	return verifier(t, func(o *Options) { o.Key, o.JWKSURL, o.Now = "", url, c.now }), c
}

func es256(pair string) signer {
	return signer{algorithm: "ES256", key: pairs()[pair]}.with("kid", pair)
}

func connect(t *testing.T, v *Verifier, s signer) error {
	t.Helper()
	token := s.token(t, `{"sub":"ann"}`)
	_, err := v.Connection(t.Context(), token)
	requireSecretive(t, err, token)
	return err
}

func TestJWKSIsFetchedOnceForManyTokens(t *testing.T) {
	e := serve(t,
		jwks(jwk(t, "p256", nil), jwk(t, "rsa", nil), jwk(t, "p384", nil), jwk(t, "p521", nil), jwk(t, "ed25519", nil)))
	v, _ := follower(t, e.URL)
	require.True(t, v.On())
	for range 3 {
		for algorithm, pair := range map[string]string{
			"ES256": "p256",
			"ES384": "p384",
			"ES512": "p521",
			"RS256": "rsa",
			"PS512": "rsa",
			"EdDSA": "ed25519",
		} {
			require.NoError(t, connect(t, v, signer{algorithm: algorithm, key: pairs()[pair]}.with("kid", pair)))
		}
	}
	require.EqualValues(t, 1, e.asked.Load())
}

func TestJWKSIsFetchedOnceForConcurrentTokens(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil)))
	e.entered, e.leave = make(chan struct{}), make(chan struct{})
	v, _ := follower(t, e.URL)
	token := es256("p256").token(t, `{}`)
	const many = 50
	results := make(chan error, many)
	for range many {
		go func() {
			_, err := v.Connection(context.Background(), token)
			results <- err
		}()
	}
	<-e.entered
	close(e.leave)
	for range many {
		require.NoError(t, <-results)
	}
	require.EqualValues(t, 1, e.asked.Load())
}

// A client that goes away does not end the fetch that others wait for.
func TestJWKSFetchOutlivesItsFirstCaller(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil)))
	e.entered, e.leave = make(chan struct{}), make(chan struct{})
	v, _ := follower(t, e.URL)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	token := es256("p256").token(t, `{}`)
	go func() {
		_, err := v.Connection(ctx, token)
		first <- err
	}()
	<-e.entered
	cancel()
	require.ErrorIs(t, <-first, ErrUnavailable)
	second := make(chan error)
	go func() {
		_, err := v.Connection(context.Background(), token)
		second <- err
	}()
	close(e.leave)
	require.NoError(t, <-second)
	require.EqualValues(t, 1, e.asked.Load())
}

func TestJWKSNewKeyIsFetchedForItsFirstToken(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil)))
	v, c := follower(t, e.URL)
	require.NoError(t, connect(t, v, es256("p256")))
	e.say(http.StatusOK, jwks(jwk(t, "p256 other", nil)))
	c.advance(retryEvery)
	require.NoError(t, connect(t, v, es256("p256 other")))
	require.NoError(t, connect(t, v, es256("p256")), "the key before it is still good")
	require.EqualValues(t, 2, e.asked.Load())
}

func TestJWKSUnknownKeysFetchSeldom(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil)))
	v, c := follower(t, e.URL)
	stranger := es256("p256 other")
	require.ErrorIs(t, connect(t, v, stranger), ErrInvalid, "the keys are fresh, and this one is not among them")
	require.EqualValues(t, 1, e.asked.Load())
	for i := range 20 {
		require.ErrorIs(t, connect(t, v, stranger.with("kid", strings.Repeat("x", i+1))), ErrUnavailable,
			"the key may have come since")
		require.NoError(t, connect(t, v, es256("p256")), "known keys have nothing to wait for")
	}
	require.EqualValues(t, 1, e.asked.Load())
	c.advance(retryEvery - time.Millisecond)
	require.ErrorIs(t, connect(t, v, stranger), ErrUnavailable)
	require.EqualValues(t, 1, e.asked.Load())
	c.advance(time.Millisecond)
	require.ErrorIs(t, connect(t, v, stranger), ErrInvalid)
	require.EqualValues(t, 2, e.asked.Load())
}

// A token with a known key that did not sign it needs no fetch.
func TestJWKSForgeriesWithKnownKeysDoNotFetch(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil), jwk(t, "rsa", nil)))
	v, c := follower(t, e.URL)
	require.NoError(t, connect(t, v, es256("p256")))
	c.advance(time.Hour)
	for _, s := range []signer{
		es256("p256 other").with("kid", "p256"),
		hs256().with("kid", "p256"),
		{algorithm: "HS256", key: []byte(publicPEM(t, "rsa")), header: map[string]any{"kid": "rsa"}},
		es256("p256").with("kid", "rsa"),
		es256("p256 other").with("kid", ""),
		{algorithm: "ES256", key: pairs()["p256 other"]},
		{algorithm: "ES384", key: pairs()["p384"]},
	} {
		require.ErrorIs(t, connect(t, v, s), ErrInvalid)
	}
	require.EqualValues(t, 1, e.asked.Load())
}

func TestJWKSTokenWithoutKid(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil), jwk(t, "p256 other", nil), jwk(t, "rsa", nil)))
	v, _ := follower(t, e.URL)
	require.NoError(t, connect(t, v, signer{algorithm: "ES256", key: pairs()["p256 other"]}))
	require.NoError(t, connect(t, v, signer{algorithm: "RS512", key: pairs()["rsa"]}))
	require.EqualValues(t, 1, e.asked.Load())
}

func TestJWKSKeysWithTheSameKid(t *testing.T) {
	named := func(m *jwkset.JWKMarshal) { m.KID = "same" }
	e := serve(t, jwks(jwk(t, "p256", named), jwk(t, "p256 other", named), jwk(t, "rsa", named)))
	v, _ := follower(t, e.URL)
	for _, s := range []signer{es256("p256"), es256("p256 other"), {algorithm: "RS256", key: pairs()["rsa"]}} {
		require.NoError(t, connect(t, v, s.with("kid", "same")))
	}
}

func TestJWKSRemovedKeyIsAcceptedForTheWindow(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil), jwk(t, "rsa", nil)))
	v, c := follower(t, e.URL)
	fetch := func() { require.NoError(t, v.keys.(*keySet).fetch(t.Context())) }
	require.NoError(t, connect(t, v, es256("p256")))
	e.say(http.StatusOK, jwks(jwk(t, "rsa", nil)))
	fetch()
	c.advance(DefaultPreviousKeyWindow - 1)
	fetch()
	require.NoError(t, connect(t, v, es256("p256")), "each fetch without it counts from the first")
	c.advance(1)
	require.ErrorIs(t, connect(t, v, es256("p256")), ErrInvalid, "also when nothing was fetched since")
	require.Equal(t, 1, v.keys.(*keySet).count(), "it is forgotten")

	e.say(http.StatusOK, jwks(jwk(t, "p256", nil), jwk(t, "rsa", nil)))
	fetch()
	require.NoError(t, connect(t, v, es256("p256")), "a key may come back")
	e.say(http.StatusOK, jwks(jwk(t, "rsa", nil)))
	fetch()
	c.advance(DefaultPreviousKeyWindow / 2)
	e.say(http.StatusOK, jwks(jwk(t, "p256", nil), jwk(t, "rsa", nil)))
	fetch()
	c.advance(2 * DefaultPreviousKeyWindow)
	require.NoError(t, connect(t, v, es256("p256")), "and is as good as new")
	require.Equal(t, 2, v.keys.(*keySet).count(), "once, whatever was fetched")
}

func TestJWKSKeyThatChangedUnderItsKid(t *testing.T) {
	named := func(m *jwkset.JWKMarshal) { m.KID = "key" }
	e := serve(t, jwks(jwk(t, "p256", named)))
	v, c := follower(t, e.URL)
	require.NoError(t, connect(t, v, es256("p256").with("kid", "key")))
	e.say(http.StatusOK, jwks(jwk(t, "p256 other", named)))
	require.NoError(t, v.keys.(*keySet).fetch(t.Context()))
	require.NoError(t, connect(t, v, es256("p256 other").with("kid", "key")))
	require.NoError(t, connect(t, v, es256("p256").with("kid", "key")))
	c.advance(DefaultPreviousKeyWindow)
	require.ErrorIs(t, connect(t, v, es256("p256").with("kid", "key")), ErrInvalid)
	require.NoError(t, connect(t, v, es256("p256 other").with("kid", "key")))
}

// A key that gets another name or algorithm counts as another key.
func TestJWKSKeyWithANewKidOrAlgorithm(t *testing.T) {
	algorithm := func(a jwkset.ALG) func(*jwkset.JWKMarshal) { return func(m *jwkset.JWKMarshal) { m.ALG = a } }
	e := serve(t, jwks(jwk(t, "p256", nil), jwk(t, "rsa", algorithm(jwkset.AlgRS256))))
	v, c := follower(t, e.URL)
	require.NoError(t, connect(t, v, es256("p256")))
	e.say(http.StatusOK,
		jwks(jwk(t, "p256", func(m *jwkset.JWKMarshal) { m.KID = "renamed" }), jwk(t, "rsa", algorithm(jwkset.AlgPS256))))
	require.NoError(t, v.keys.(*keySet).fetch(t.Context()))
	before := []signer{es256("p256"), {algorithm: "RS256", key: pairs()["rsa"], header: map[string]any{"kid": "rsa"}}}
	after := []signer{es256("p256").with("kid", "renamed"),
		{algorithm: "PS256", key: pairs()["rsa"], header: map[string]any{"kid": "rsa"}}}
	for _, s := range append(before, after...) {
		require.NoError(t, connect(t, v, s))
	}
	c.advance(DefaultPreviousKeyWindow)
	for i := range before {
		require.ErrorIs(t, connect(t, v, before[i]), ErrInvalid)
		require.NoError(t, connect(t, v, after[i]))
	}
}

func TestJWKSRefusesAnswersWithoutKeys(t *testing.T) {
	good := jwks(jwk(t, "p256", nil))
	for name, test := range map[string]struct {
		status int
		answer string
		reason string
	}{
		"down":       {http.StatusServiceUnavailable, good, "status 503"},
		"missing":    {http.StatusNotFound, good, "status 404"},
		"elsewhere":  {http.StatusFound, good, "status 302"},
		"no content": {http.StatusNoContent, "", "status 204"},
		"HTML":       {http.StatusOK, "<html>", "is no JWK Set"},
		"half":       {http.StatusOK, good[:len(good)/2], "is no JWK Set"},
		"two":        {http.StatusOK, good + good, "is no JWK Set"},
		"a list":     {http.StatusOK, "[]", "is no JWK Set"},
		"null":       {http.StatusOK, "null", "has no key"},
		"an error":   {http.StatusOK, `{"error":"later"}`, "has no key"},
		"no keys":    {http.StatusOK, jwks(), "has no key"},
		"a secret":   {http.StatusOK, jwks(`{"kty":"oct","k":"` + segment([]byte(secret)) + `"}`), "has no key"},
		"many keys": {http.StatusOK, jwks(strings.TrimSuffix(strings.Repeat("{},", maxKeys+1), ",")),
			"more than 100 keys"},
		"large":        {http.StatusOK, good + strings.Repeat(" ", maxAnswerBytes), "larger than 262144 bytes"},
		"only useless": {http.StatusOK, jwks("1", "{}", "null"), "has no key"},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, test.answer)
			e.say(test.status, test.answer)
			v, c := follower(t, e.URL)
			err := connect(t, v, es256("p256"))
			require.ErrorIs(t, err, ErrUnavailable)
			require.NotErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, test.reason)
			require.ErrorIs(t, connect(t, v, es256("p256")), ErrUnavailable)
			require.EqualValues(t, 1, e.asked.Load(), "an endpoint that is down is not asked for each token")

			e.say(http.StatusOK, good)
			c.advance(retryEvery)
			require.NoError(t, connect(t, v, es256("p256")))
			e.say(test.status, test.answer)
			c.advance(24 * time.Hour)
			require.ErrorIs(t, connect(t, v, es256("p256 other")), ErrUnavailable, "it may be one that could not be fetched")
			require.NoError(t, connect(t, v, es256("p256")), "known keys go on")
		})
	}
}

func TestJWKSUnreachable(t *testing.T) {
	e := serve(t, "")
	e.Close()
	v, _ := follower(t, e.URL+"/jwks?key=hunter2")
	err := connect(t, v, es256("p256"))
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestJWKSSkipsBadKeys(t *testing.T) {
	weak := `{"kty":"RSA","kid":"weak","n":"` + strings.Repeat("A", 20) + `","e":"AQAB"}`
	e := serve(t, jwks(weak, `{"kty":"oct","kid":"oct","k":"`+segment([]byte(secret))+`"}`,
		`{"kty":"EC","kid":"off","crv":"P-256","x":"AAAA","y":"AAAA"}`,
		`{"kty":"OKP","crv":"X25519","kid":"x","x":"`+segment(make([]byte, 32))+`"}`,
		`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`, `{"kty":1}`, `7`,
		jwk(t, "p384", func(m *jwkset.JWKMarshal) { m.USE = jwkset.UseEnc }),
		jwk(t, "p521", func(m *jwkset.JWKMarshal) { m.KEYOPS = []jwkset.KEYOPS{jwkset.KeyOpsEncrypt} }),
		jwk(t, "p256 other", func(m *jwkset.JWKMarshal) { m.ALG = jwkset.AlgES384 }),
		jwk(t, "rsa", func(m *jwkset.JWKMarshal) { m.ALG = jwkset.AlgRS256; m.USE = jwkset.UseSig }),
		jwk(t, "p256", func(m *jwkset.JWKMarshal) { m.KEYOPS = []jwkset.KEYOPS{jwkset.KeyOpsVerify} }),
	))
	v, c := follower(t, e.URL)
	require.NoError(t, connect(t, v, es256("p256")))
	require.NoError(t, connect(t, v, signer{algorithm: "RS256", key: pairs()["rsa"]}.with("kid", "rsa")))
	require.Equal(t, 2, v.keys.(*keySet).count())
	for _, s := range []signer{
		hs256().with("kid", "oct"), {algorithm: "ES384", key: pairs()["p384"], header: map[string]any{"kid": "p384"}},
		es256("p256 other"), {algorithm: "RS512", key: pairs()["rsa"], header: map[string]any{"kid": "rsa"}},
	} {
		c.advance(retryEvery)
		require.ErrorIs(t, connect(t, v, s), ErrInvalid)
	}
}

// roundTripper answers without a network, so that a test can run in a synctest bubble.
type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(q *http.Request) (*http.Response, error) { return r(q) }

func answered(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
}

func TestJWKSRunFetchesPeriodically(t *testing.T) {
	pairs() // not in the bubble
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var up atomic.Bool
		good := jwks(jwk(t, "p256", nil))
		log := &bytes.Buffer{}
		v, err := New(Options{
			JWKSURL: "https://id.example/jwks", Logger: slog.New(slog.NewTextHandler(log, nil)),
			HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				asked.Add(1)
				if !up.Load() {
					return nil, errors.New("down")
				}
				return answered(http.StatusOK, good)
			})},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()

		time.Sleep(3 * retryEvery)
		synctest.Wait()
		require.GreaterOrEqual(t, asked.Load(), int64(3), "what failed is tried again soon")
		require.LessOrEqual(t, asked.Load(), int64(4))
		require.Equal(t, 1, strings.Count(log.String(), "JWK Set not fetched"), "and the log is told once: %s", log)
		require.NotContains(t, log.String(), "id.example")

		up.Store(true)
		time.Sleep(retryEvery)
		synctest.Wait()
		require.Contains(t, log.String(), "JWK Set fetched again")
		require.NoError(t, connect(t, v, es256("p256")), "no token has to fetch")
		before := asked.Load()
		time.Sleep(refreshEvery)
		synctest.Wait()
		require.Equal(t, before+1, asked.Load())

		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, 1, strings.Count(log.String(), "JWK Set not fetched"), "to end is no failure")
	})
}

func TestJWKSFetchTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := New(Options{
			JWKSURL: "https://id.example/jwks",
			HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		})
		require.NoError(t, err)
		start := time.Now()
		require.ErrorIs(t, connect(t, v, es256("p256")), ErrUnavailable)
		require.Equal(t, fetchTimeout, time.Since(start))
	})
}

func TestJWKSRunEndsDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bytes.Buffer{}
		v, err := New(Options{
			JWKSURL: "https://id.example/jwks",
			Logger:  slog.New(slog.NewTextHandler(log, nil)),
			HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()
		synctest.Wait()
		cancel()
		require.NoError(t, <-ended)
		require.Empty(t, log.String())
	})
}

// The caller's HTTP client is not changed.
func TestJWKSDoesNotFollowRedirects(t *testing.T) {
	e := serve(t, jwks(jwk(t, "p256", nil)))
	e.say(http.StatusFound, jwks(jwk(t, "p256", nil)))
	client := &http.Client{Transport: transport()}
	v := verifier(t, func(o *Options) { o.Key, o.JWKSURL, o.HTTPClient = "", e.URL, client })
	require.ErrorIs(t, connect(t, v, es256("p256")), ErrUnavailable)
	require.EqualValues(t, 1, e.asked.Load())
	require.Nil(t, client.CheckRedirect)
}
