package gateway_test

import (
	"sync"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/stretchr/testify/require"
)

// Clients connect and disconnect while the backend subscribes and unsubscribes them. In the end the gateway has no
// connection, user, channel or member left.
func TestStressLeavesNothingBehind(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		token := signed(t, user("ann"))
		stop := make(chan struct{})
		var backends, clients sync.WaitGroup
		for _, call := range []struct{ method, body string }{{"subscribe", `{"user":"ann","channel":"seen:given"}`},
			{"unsubscribe", `{"user":"ann","channel":"seen:given"}`}, {"subscribe", `{"user":"ann","channel":"kept:given"}`},
			{"unsubscribe", `{"user":"ann","channel":"seen:own"}`}, {"publish", `{"channel":"kept:given","data":1}`},
		} {
			backends.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						request(t, "POST", "http://"+two.Addr()+"/api/"+call.method, call.body, "X-API-Key", key)
					}
				}
			})
		}
		for _, g := range []*testGateway{one, two} {
			clients.Go(func() {
				for range 25 {
					c := g.dialCentrifuge(t, cf.TypeJSON)
					c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: token}},
						&cf.Command{Id: 2, Subscribe: &cf.SubscribeRequest{Channel: "seen:own"}},
						&cf.Command{Id: 3, Subscribe: &cf.SubscribeRequest{Channel: "kept:given"}},
						&cf.Command{Id: 4, Unsubscribe: &cf.UnsubscribeRequest{Channel: "seen:own"}},
					)
					// The client disconnects at a random stage.
					if _, _, err := c.read(); err != nil {
						t.Error(err)
					}
					c.abort()
				}
			})
		}
		clients.Wait()
		close(stop)
		backends.Wait()
		for _, g := range []*testGateway{one, two} {
			g.awaitMetric(t, 0, "websocket_connections")
			g.awaitMetric(t, 0, "websocket_channels")
			g.awaitMetric(t, 0, "websocket_users")
		}
		for _, channel := range []string{"seen:given", "seen:own"} {
			require.Eventually(t, func() bool {
				var got struct {
					Result struct{ Presence map[string]any }
				}
				one.callAPI(t, "presence", `{"channel":"`+channel+`"}`).json(t, &got)
				return len(got.Result.Presence) == 0
			}, waitTimeout, 50*time.Millisecond, channel)
		}
	}, withRules, withTokens)
}
