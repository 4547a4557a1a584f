package transport_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Replies, which the handler's goroutine writes, and other messages, which the loop writes, are all sent.
func TestFlushSharesAConnectionWithSend(t *testing.T) {
	const answers, publications = 2000, 4000
	onEveryDriver(t, func(t *testing.T, driver func(*transport.Options)) {
		h := newTestHandler()
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
		_, url := serve(t, func(*http.Request) (transport.Handler, error) { return h, nil }, driver)
		c := dial(t, url)
		published := <-opened
		var writers sync.WaitGroup
		defer writers.Wait()
		defer func() { _ = c.CloseNow() }()
		writers.Go(func() {
			for range publications {
				published.Send(transport.NewFrame(transport.Text, []byte("publication")))
			}
		})
		writers.Go(func() {
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
