package transport_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Answers that go out at once and publications that the loop writes take turns, and none is lost.
func TestAnswersAndPublicationsShareAConnection(t *testing.T) {
	const answers, publications = 2000, 4000
	onEveryWire(t, func(t *testing.T, wire func(*transport.Options)) {
		h := newHandler()
		opened := make(chan transport.Conn, 1)
		var conn transport.Conn
		h.open = func(c transport.Conn) {
			conn = c
			opened <- c
		}
		h.message = func(kind transport.Kind, data []byte) {
			conn.QueueReply(transport.NewFrame(kind, data))
			conn.Flush()
		}
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, wire)
		c := dial(t, url)
		published := <-opened
		var talking sync.WaitGroup
		defer talking.Wait()
		defer func() { _ = c.CloseNow() }()
		talking.Go(func() {
			for range publications {
				published.Send(transport.NewFrame(transport.Text, []byte("publication")))
			}
		})
		talking.Go(func() {
			for range answers {
				if c.Write(t.Context(), 1, []byte("answer")) != nil {
					return
				}
			}
		})
		got := map[string]int{}
		for range answers + publications {
			_, data, err := c.Read(t.Context())
			require.NoError(t, err)
			got[string(data)]++
		}
		require.Equal(t, map[string]int{"answer": answers, "publication": publications}, got)
	})
}
