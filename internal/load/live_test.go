package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// soon is a layer whose clients come back at once, and again and again.
var soon = reconnect.Layer{
	Name: "soon", Waits: []reconnect.Wait{{Min: 10 * time.Millisecond, Max: 50 * time.Millisecond}}, Growth: 1,
}

// liveOptions returns the options of a run that goes on until the test ends it.
func liveOptions(url string, change func(*Options)) Options {
	return options(Live, url, func(o *Options) {
		o.Reconnect, o.Rate, o.Duration, o.Timeout = soon, 200, 0, time.Minute
		change(o)
	})
}

// runLive runs live until look, which sees each sample of the time in which it publishes, returns true.
func runLive(t *testing.T, o Options, look func(Sample) (over bool)) *Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := Run(ctx, o, Callbacks{WorkerCommand: startWorker, Progress: func(s Sample) {
		if s.Phase == "live" && look(s) {
			cancel()
		}
	}})
	require.NoError(t, err)
	require.NotErrorIs(t, ctx.Err(), context.DeadlineExceeded, "what the test waits for did not happen")
	require.False(t, r.Interrupted, "that is how a run without a duration ends")
	require.NotNil(t, r.Live, r.Failures)
	return r
}

// fleetGateway is a gateway of a fleet whose clients recover on each of its gateways.
type fleetGateway struct {
	*gateway.Gateway
	ended chan struct{}
}

func startFleetGateway(t *testing.T, redis *redistest.Server) *fleetGateway {
	t.Helper()
	cfg := config.Default()
	cfg.Channels = []channel.Rule{recoverableRule("*", 100_000)}
	cfg.ConnectRate, cfg.MessageRate = 0, 0
	cfg.NodeName, cfg.Listen, cfg.AdminListen = "node-1", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Broker, cfg.RedisAddresses = contract.BrokerRedis, []string{redis.Addr()}
	cfg.DrainTimeout, cfg.DrainPropagationDelay = time.Second, 0
	g, err := gateway.New(t.Context(), cfg,
		gateway.Options{Version: "test", CloseTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleetGateway{Gateway: g, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		assert.NoError(t, g.Run(ctx))
	}()
	t.Cleanup(func() {
		cancel()
		<-f.ended
	})
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + g.AdminAddr() + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, testTimeout, 20*time.Millisecond)
	return f
}

// forwarder forwards connections to gateways in turn, as a load balancer in front of them.
type forwarder struct {
	listener net.Listener
	done     sync.WaitGroup

	mu      sync.Mutex
	targets []string
	next    int
	// open are the connections by their targets.
	open map[net.Conn]string
}

func startForwarder(t *testing.T, targets ...*fleetGateway) *forwarder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &forwarder{listener: listener, open: map[net.Conn]string{}}
	f.send(targets...)
	f.done.Go(f.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		f.cut("")
		f.done.Wait()
	})
	return f
}

func (f *forwarder) url() string { return "ws://" + f.listener.Addr().String() }

// send sends new connections to gateways.
func (f *forwarder) send(targets ...*fleetGateway) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.targets = nil
	for _, g := range targets {
		f.targets = append(f.targets, g.Addr())
	}
}

// cut resets the connections to a gateway, as the kernel does when its process is killed, or all for an empty address.
// It returns their number.
func (f *forwarder) cut(address string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn, target := range f.open {
		if address == "" || target == address {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
			n++
		}
	}
	return n
}

func (f *forwarder) serve() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		target := f.targets[f.next%len(f.targets)]
		f.next++
		f.open[client] = target
		f.mu.Unlock()
		f.done.Go(func() { f.forward(client, target) })
	}
}

func (f *forwarder) forward(client net.Conn, target string) {
	defer func() {
		_ = client.Close()
		f.mu.Lock()
		delete(f.open, client)
		f.mu.Unlock()
	}()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
	_ = server.Close()
	group.Wait()
}

// appendLine appends an event to the file of the events.
func appendLine(t *testing.T, file, label string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	require.NoError(t, err)
	_, err = fmt.Fprintln(f, label)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// requireNothingWrong asserts that recovering clients received everything once and in order.
func requireNothingWrong(t *testing.T, r *Result) {
	t.Helper()
	require.Empty(t, r.Failures)
	for i, c := range append([]LiveCounts{r.Live.Total}, r.Live.Groups[0].LiveCounts) {
		require.Zero(t, c.Lost, i)
		require.Zero(t, c.FalselyRecovered+c.Duplicated+c.Reordered+c.Gone+c.Unrecovered, i)
	}
	require.Zero(t, r.Live.AwayAtEnd)
	require.Empty(t, r.Live.Clients)
	require.Positive(t, r.Delivery.Received)
	require.Equal(t, r.Delivery.Expected-r.Live.Total.Missed, r.Delivery.Received)
}

func TestLiveRecoversFromADrain(t *testing.T) {
	t.Parallel()
	redis := redistest.Standalone(t, "")
	for name, processes := range map[string]int{"one process": 1, "several processes": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, replacement := startFleetGateway(t, redis), startFleetGateway(t, redis)
			lb := startForwarder(t, old)
			events := filepath.Join(t.TempDir(), "events")
			o := liveOptions(lb.url(), func(o *Options) {
				o.Clients, o.Channels, o.Processes, o.Events = 12, 2, processes, events
				o.ChannelPrefix = strings.ReplaceAll(name, " ", "-")
				o.Groups = []Group{{Clients: 4, Layer: soon, Plain: true}}
			})
			draining, ended := false, 0
			r := runLive(t, o, func(s Sample) bool {
				switch {
				case draining:
					select {
					case <-old.ended:
						// One sample may be of before the end.
						if s.Away == 0 && s.Connected == 18 && s.DeliveriesPerSecond > 0 {
							ended++
						}
					default:
					}
				case s.DeliveriesPerSecond > 0:
					draining = true
					appendLine(t, events, "drain")
					lb.send(replacement)
					old.Terminate("test", false)
				}
				return ended == 2
			})
			requireNothingWrong(t, r)
			require.Equal(t, processes, r.Processes)
			require.Equal(t, 16, r.Clients)
			require.Equal(t, int64(18), r.Connect.Connected, "with two publishers")
			live := r.Live
			require.Equal(t, map[string]int64{
				"the server disconnected the client: 3001 shutdown": 12, "closed by the server: 1012 service restart": 4,
			}, reasonsOf(live.Total.ConnectionsLostByReason))
			require.Equal(t, int64(16), live.Total.Returns)
			require.Equal(t, int64(12), live.Groups[0].Returns)
			require.Equal(t, int64(4), live.Groups[1].Returns)
			require.Zero(t, live.Groups[1].Lost, "plain clients miss")
			require.Positive(t, live.Total.PeakReturnsPerSecond)
			require.GreaterOrEqual(t, live.Total.Away.P50, 0.01)
			require.GreaterOrEqual(t, live.Total.Away.Max, live.Total.Away.P50)
			require.Equal(t, int64(2), live.PublisherConnectionsLost)
			require.Len(t, live.Events, 2)
			require.Equal(t, []string{"", "drain"}, []string{live.Events[0].Label, live.Events[1].Label})
			require.Greater(t, live.Events[1].Seconds, live.Events[0].Seconds)
			require.Equal(t, int64(16), live.Events[0].ConnectionsLost+live.Events[1].ConnectionsLost)
			require.Equal(t, int64(16), live.Events[0].Returns+live.Events[1].Returns)
			for group := range live.Groups {
				require.Len(t, live.Events[1].Groups, 2)
				longest := max(live.Events[0].Groups[group].Max, live.Events[1].Groups[group].Max)
				require.InDelta(t, live.Groups[group].Away.Max, longest, 0)
			}
		})
	}
}

// reasonsOf returns the counts with one reason for the close frame and the push that comes before it.
func reasonsOf(counts map[string]int64) map[string]int64 {
	same := map[string]int64{}
	for reason, n := range counts {
		same[strings.Replace(reason, "closed by the server: 3001", "the server disconnected the client: 3001", 1)] += n
	}
	return same
}

func TestLiveRecoversFromAKill(t *testing.T) {
	t.Parallel()
	redis := redistest.Standalone(t, "")
	killed, other := startFleetGateway(t, redis), startFleetGateway(t, redis)
	lb := startForwarder(t, killed, other)
	cut, back := 0, 0
	r := runLive(t, liveOptions(lb.url(), func(o *Options) { o.Clients, o.Channels = 12, 3 }), func(s Sample) bool {
		switch {
		case cut > 0:
			if s.Away == 0 && s.Connected == 15 && s.DeliveriesPerSecond > 0 {
				back++
			}
		case s.DeliveriesPerSecond > 0:
			lb.send(other)
			cut = lb.cut(killed.Addr())
		}
		return back == 3
	})
	requireNothingWrong(t, r)
	require.Positive(t, cut)
	require.Equal(t, int64(cut), r.Live.Total.ConnectionsLost+r.Live.PublisherConnectionsLost)
	require.Equal(t, r.Live.Total.ConnectionsLost, r.Live.Total.Returns)
	for reason := range r.Live.Total.ConnectionsLostByReason {
		require.Contains(t, []string{"connection reset by peer", errCut.Error()}, reason)
	}
}

// liveServer is a fake server with a history, whose clients lose their connections once.
type liveServer struct {
	*fakeServer
	history fakeHistory
	// publisher is the peer that publishes. Its connection stays.
	publisher *fakePeer
	// lostAt is the length of the history when the connections were lost, backAt that when a client came back; 0 before.
	lostAt, backAt int
	// refused is the number of handshakes that refuseUntilMissed refused.
	refused int
}

func startLiveServer(t *testing.T, change func(*liveServer)) *liveServer {
	t.Helper()
	s := &liveServer{history: fakeHistory{corrupt: func(missed []string) []string { return missed }}}
	s.fakeServer = startFakeServer(t, func(f *fakeServer) {
		f.publish = func(p *fakePeer) string {
			f.mu.Lock()
			defer f.mu.Unlock()
			s.publisher = p
			return `"publish":{}`
		}
		f.subscribe = func(command string) string {
			if strings.Contains(command, `"recover":true`) {
				s.backAt = len(s.history.lines)
			}
			return s.history.subscribe(command)
		}
		f.publicationSuffix = func(data string) string { return fmt.Sprintf(`,"offset":%d`, s.history.publish(data)) }
	})
	s.accept = s.refuseUntilMissed
	change(s)
	return s
}

// refuseUntilMissed refuses some handshakes after the loss, and all until the clients have missed some messages.
func (s *liveServer) refuseUntilMissed(int) int {
	const refused, missed = 2, 3
	if s.lostAt == 0 || s.refused >= refused && len(s.history.lines) >= s.lostAt+missed {
		return 0
	}
	s.refused++
	return http.StatusServiceUnavailable
}

// lose ends the connections of all peers but the publisher with a function.
func (s *liveServer) lose(end func(*websocket.Conn)) {
	s.mu.Lock()
	var conns []*websocket.Conn
	for p := range s.peers {
		if p != s.publisher {
			conns = append(conns, p.conn)
		}
	}
	s.lostAt = len(s.history.lines)
	s.mu.Unlock()
	for _, conn := range conns {
		end(conn)
	}
}

func cutConn(conn *websocket.Conn) { _ = conn.CloseNow() }

// published reports whether the publisher is known, lost whether lose was called, and back whether a client has come
// back and messages have followed.
func (s *liveServer) state() (published, lost, back bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publisher != nil && len(s.history.lines) > 0, s.lostAt > 0, s.backAt > 0 && len(s.history.lines) > s.backAt+1
}

// loseOnce returns a function for runLive that loses the connections once, and ends the run when over says so or the
// clients are back.
func (s *liveServer) loseOnce(end func(*websocket.Conn), over func(Sample) bool) func(Sample) bool {
	return func(sample Sample) bool {
		published, lost, back := s.state()
		if published && !lost && sample.Connected > 1 {
			s.lose(end)
		}
		return lost && (back && sample.Away == 0 || over(sample))
	}
}

func never(Sample) bool { return false }

func TestLiveCountsRefusedAttempts(t *testing.T) {
	t.Parallel()
	s := startLiveServer(t, func(*liveServer) {})
	r := runLive(t, liveOptions(s.url(), func(o *Options) { o.Clients = 1 }), s.loseOnce(cutConn, never))
	requireNothingWrong(t, r)
	require.Equal(t, int64(1), r.Live.Total.Returns)
	require.GreaterOrEqual(t, s.refused, 2)
	require.Equal(t, int64(s.refused), r.Live.Total.Refused)
	require.Equal(t, map[string]int64{"handshake refused: 503 Service Unavailable": r.Live.Total.Refused},
		r.Live.Total.RefusedByReason)
}

// The mistakes concern the last messages that the client missed.
func TestLiveCountsRecoveryMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil                                []string
		corrupt                              func([]string) []string
		lost, falsely, duplicated, reordered int64
	}{
		"none": {corrupt: func(m []string) []string { return m }},
		"lost": {
			corrupt: func(m []string) []string { return append(m[:len(m)-2:len(m)-2], m[len(m)-1]) }, lost: 1, falsely: 1,
		},
		"the last one lost": {corrupt: func(m []string) []string { return m[:len(m)-1] }, lost: 1, falsely: 1},
		"duplicated": {
			corrupt: func(m []string) []string { return append(m[:len(m):len(m)], m[len(m)-1]) }, duplicated: 1,
		},
		"reordered": {
			corrupt:   func(m []string) []string { return append(m[:len(m)-2:len(m)-2], m[len(m)-1], m[len(m)-2]) },
			reordered: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startLiveServer(t, func(s *liveServer) { s.history.corrupt = c.corrupt })
			r := runLive(t, liveOptions(s.url(), func(o *Options) { o.Clients = 1 }), s.loseOnce(cutConn, never))
			require.Empty(t, r.Failures, "it is a finding")
			all := r.Live.Total
			require.Equal(t, []int64{c.lost, c.falsely, c.duplicated, c.reordered},
				[]int64{all.Lost, all.FalselyRecovered, all.Duplicated, all.Reordered})
			require.Equal(t, c.lost, r.Delivery.Lost)
			if c.lost+c.duplicated+c.reordered == 0 {
				require.Empty(t, r.Live.Clients)
				return
			}
			require.Equal(t, []ClientResult{{
				Group:            "soon",
				Channel:          "load-0",
				TimesAway:        1,
				Lost:             c.lost,
				FalselyRecovered: c.falsely,
				Duplicated:       c.duplicated,
				Reordered:        c.reordered,
			}}, r.Live.Clients)
		})
	}
}

// A server that says that publications are missing does not recover falsely, though they are lost.
func TestLiveTellsLossFromFalseRecovery(t *testing.T) {
	t.Parallel()
	s := startLiveServer(t, func(s *liveServer) {
		whole := s.subscribe
		s.subscribe = func(command string) string {
			return strings.Replace(whole(command), `"recovered":true`, `"recovered":false`, 1)
		}
		s.history.corrupt = func([]string) []string { return nil }
	})
	r := runLive(t, liveOptions(s.url(), func(o *Options) { o.Clients = 1 }), s.loseOnce(cutConn, never))
	require.GreaterOrEqual(t, r.Live.Total.Lost, int64(3))
	require.Zero(t, r.Live.Total.FalselyRecovered)
	require.Equal(t, int64(1), r.Live.Total.Unrecovered)
}

// A message that the server refused is not missing, though its number is.
func TestLiveDoesNotExpectRefusedMessages(t *testing.T) {
	t.Parallel()
	s := startLiveServer(t, func(s *liveServer) {
		accept, n := s.publish, 0
		s.publish = func(p *fakePeer) string {
			answer := accept(p)
			if n++; n%5 == 1 {
				return `"error":{"code":100,"message":"no broker"}`
			}
			return answer
		}
	})
	r := runLive(t, liveOptions(s.url(), func(o *Options) { o.Clients = 2 }), s.loseOnce(cutConn, never))
	requireNothingWrong(t, r)
	require.Positive(t, r.Publish.Failed)
	require.Contains(t, r.Publish.Errors, "the server answered error 100: no broker")
}

// A message without an acknowledgement is expected of all clients when one has received it.
func TestLiveExpectsWhatOneClientReceived(t *testing.T) {
	t.Parallel()
	p, c := newTestPopulation(t)
	w := p.worker
	publisher := &client{id: 0, shard: c.shard, resume: &resumeState{}}
	w.register(publisher)
	for range 4 {
		p.nextNumber(0)
	}
	p.accepted(0, 4)
	w.run = RunArgs{To: 1 << 62, Subscribers: []int{2}}
	for _, number := range []uint32{2, 4} {
		c.shard.delivered(c, message{publisher: 0, number: number, time: 1}, 2)
	}
	var unaccepted, unreceived Numbers
	require.NoError(t, w.Unaccepted(None{}, &unaccepted))
	require.Equal(t, Numbers{0: {1, 2, 3}}, unaccepted)
	require.NoError(t, w.Unreceived(unaccepted, &unreceived))
	require.Equal(t, Numbers{0: {1, 3}}, unreceived)
	require.Equal(t, Numbers{0: {1, 2, 3}}, unaccepted, "the caller's numbers stay as they are")
	for want, numbers := range map[int64]Numbers{0: unreceived, 2: nil} {
		var losses LossReply
		require.NoError(t, w.Losses(LossArgs{Ends: []map[int]uint32{{0: 4}}, Unaccepted: numbers}, &losses))
		require.Equal(t, want, losses.Intervals[0][0].Missing)
		require.Zero(t, losses.Pending)
	}
}

func TestLiveCountsClientsThatAreGone(t *testing.T) {
	t.Parallel()
	const clients = 3
	for name, c := range map[string]struct {
		layer   func(*reconnect.Layer)
		end     func(*websocket.Conn)
		refused int64
	}{
		"after attempts":   {func(l *reconnect.Layer) { l.Attempts = 2 }, cutConn, 2 * clients},
		"at a refusal":     {func(l *reconnect.Layer) { l.EndsAtRefusal = true }, cutConn, clients},
		"at a close frame": {func(l *reconnect.Layer) { l.EndsAtClose = true }, closeWith(1012), 0},
		"at a certain close": {
			func(l *reconnect.Layer) { l.FinalCodes = []reconnect.Codes{{First: 3500, Last: 3999}} }, closeWith(3501), 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startLiveServer(t, func(s *liveServer) {
				s.accept = func(int) int {
					if s.lostAt > 0 {
						return http.StatusServiceUnavailable
					}
					return 0
				}
			})
			layer := soon
			c.layer(&layer)
			lostFor := 0
			r := runLive(t, liveOptions(s.url(), func(o *Options) { o.Clients, o.Reconnect = clients, layer }),
				s.loseOnce(c.end, func(sample Sample) bool {
					if sample.Connected == 1 && sample.Away == 0 {
						lostFor++
					}
					return lostFor > 0
				}))
			require.Empty(t, r.Failures)
			require.Equal(t, int64(clients), r.Live.Total.Gone)
			require.Equal(t, c.refused, r.Live.Total.Refused)
			require.Zero(t, r.Live.Total.Returns+r.Live.Total.Lost+r.Live.AwayAtEnd)
			require.Len(t, r.Live.Clients, clients)
			require.True(t, r.Live.Clients[0].Gone)
		})
	}
}

func closeWith(code websocket.StatusCode) func(*websocket.Conn) {
	return func(conn *websocket.Conn) { go func() { _ = conn.Close(code, "test") }() }
}

func TestLiveReportsClientsThatAreAwayAtTheEnd(t *testing.T) {
	t.Parallel()
	s := startLiveServer(t, func(*liveServer) {})
	layer := soon
	layer.Waits = []reconnect.Wait{{Min: time.Hour, Max: time.Hour}}
	r := runLive(t, liveOptions(s.url(), func(o *Options) { o.Clients, o.Reconnect = 2, layer }),
		s.loseOnce(cutConn, func(sample Sample) bool { return sample.Away == 2 }))
	require.Empty(t, r.Failures)
	require.Equal(t, int64(2), r.Live.AwayAtEnd)
	require.Zero(t, r.Live.Total.Gone+r.Live.Total.Lost, "they did not ask for what they missed yet")
	require.True(t, r.Live.Clients[0].AwayAtEnd)
}

func TestLiveEndsAfterItsDuration(t *testing.T) {
	t.Parallel()
	url := startGateway(t, recoverableRule("*", 1000))
	r := run(t, liveOptions(url, func(o *Options) { o.Duration = 300 * time.Millisecond }))
	requireNothingWrong(t, r)
	require.False(t, r.Interrupted)
	require.Zero(t, r.Live.Total.ConnectionsLost)
	require.Equal(t, 6*r.Publish.Acknowledged, r.Delivery.Received, "publishers are no clients")
}

func TestLiveFailsOnAChannelWithoutRecovery(t *testing.T) {
	t.Parallel()
	r := run(t, liveOptions(startGateway(t), func(o *Options) { o.Duration = 300 * time.Millisecond }))
	require.Contains(t, r.Connect.Errors, errNoRecovery.Error())
	require.NotEmpty(t, r.Failures)
}

func TestEventLinesAreThoseThatAreAppended(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "events")
	require.NoError(t, os.WriteFile(file, []byte("of the run before\n"), 0o600))
	lines, err := openEvents(file)
	require.NoError(t, err)
	t.Cleanup(lines.close)
	read := func() []string {
		labels, err := lines.read()
		require.NoError(t, err)
		return labels
	}
	write := func(text string) {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.Empty(t, read())
	write("rollout\n\n  scale\t\x1b[31mout\r\nkill")
	require.Equal(t, []string{"rollout", "scale  [31mout"}, read())
	write(" one\n" + strings.Repeat("x", 2*maxLabel) + "\n")
	require.Equal(t, []string{"kill one", strings.Repeat("x", maxLabel)}, read())
	write(strings.Repeat("x", maxLine+1))
	_, err = lines.read()
	require.ErrorContains(t, err, "--events: a line of more than 1 MiB")
}

func TestOpenEventsCreatesTheFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	lines, err := openEvents(filepath.Join(directory, "new"))
	require.NoError(t, err)
	lines.close()
	require.FileExists(t, filepath.Join(directory, "new"))
	_, err = openEvents(filepath.Join(directory, "no", "such"))
	var wrong *Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "events", wrong.Flag)
	none, err := openEvents("")
	require.NoError(t, err)
	labels, err := none.read()
	require.NoError(t, err)
	require.Empty(t, labels)
	none.close()
}

// newTestPopulation returns a population with a client that is connected, whose socket records.
func newTestPopulation(t *testing.T) (*population, *client) {
	t.Helper()
	w := &Worker{}
	o := liveOptions("ws://127.0.0.1:1", func(o *Options) { o.Clients = 1 })
	o.applyDefaults()
	require.NoError(t, w.configure(Assignment{Options: o, Processes: 1}))
	t.Cleanup(func() {
		w.cancel()
		w.population.stop()
	})
	w.shards = []*shard{newShard(w)}
	c := &client{id: 1, shard: w.shards[0], socket: &recordingSocket{}, resume: w.resumeState(1)}
	c.state.Store(open)
	w.register(c)
	return w.population, c
}

func TestPopulationEndsSilentConnections(t *testing.T) {
	t.Parallel()
	p, c := newTestPopulation(t)
	c.lastRead = 1
	p.endSilent(1 + int64(time.Hour))
	require.Equal(t, open, c.state.Load(), "the server has announced no ping")
	c.pingInterval = time.Second
	p.endSilent(1 + int64(time.Second+maxPingDelay))
	require.Equal(t, open, c.state.Load())
	p.endSilent(2 + int64(time.Second+maxPingDelay))
	require.Equal(t, closed, c.state.Load())
	require.Equal(t, map[string]int64{errSilent.Error(): 1}, p.intervals[0][0].ConnectionsLost)
}

// A connection may end before the goroutine that made it has registered it.
func TestPopulationNotesAConnectionThatEndsEarly(t *testing.T) {
	t.Parallel()
	p, c := newTestPopulation(t)
	early := &client{id: 1, shard: c.shard, socket: &recordingSocket{}, resume: c.resume}
	p.worker.cancel()
	p.lost(c, errCut)
	require.Nil(t, p.connection(1))
	p.lost(early, ws.StatusError(1))
	require.Equal(t, int64(1), p.connectionsLost, "it is not known yet")
	p.connected(early)
	require.Nil(t, p.connection(1))
	require.Equal(t, []int64{2, 1, 1}, []int64{p.connectionsLost, p.returns, p.away})
	require.Empty(t, p.lostEarly)
}

func TestMissingCounter(t *testing.T) {
	t.Parallel()
	c := missingCounter{publisher: 3, args: &LossArgs{
		Ends:       []map[int]uint32{{3: 10}, {3: 10}, {3: 20}},
		Unaccepted: Numbers{3: {5, 12, 13}},
	}}
	gaps := []numberRange{{4, 6}, {9, 12}, {15, 15}, {20, 30}}
	require.Equal(t, uint32(20), c.end())
	require.Equal(t, []int64{4, 0, 3}, []int64{c.in(0, gaps), c.in(1, gaps), c.in(2, gaps)})
	require.Equal(t, []numberRange{{5, 6}, {9, 9}, {11, 12}}, overlaps(gaps, []numberRange{{5, 9}, {11, 14}}))
}

func TestAwayTimes(t *testing.T) {
	t.Parallel()
	require.Equal(t, AwayTimes{}, awayTimes(nil))
	require.Equal(t, AwayTimes{P50: 2, P99: 3, Max: 3},
		awayTimes([]time.Duration{3 * time.Second, time.Second, 2 * time.Second}))
	var many []time.Duration
	for i := range 200 {
		many = append(many, time.Duration(200-i)*time.Second)
	}
	require.Equal(t, AwayTimes{P50: 100, P99: 198, Max: 200}, awayTimes(many))
}

func TestWorstClientsLeavesOutWhatIsAsItShouldBe(t *testing.T) {
	t.Parallel()
	all := []ClientResult{{Client: 1, Missed: 7}, {Client: 2, Gone: true}, {Client: 3, Lost: 1}, {Client: 4, Reordered: 2}}
	got := worstClients(all)
	require.Equal(t, []int{4, 3, 2}, []int{got[0].Client, got[1].Client, got[2].Client})
	require.Len(t, worstClients(slices.Repeat([]ClientResult{{Lost: 1}}, 2*maxClients)), maxClients)
}

func TestParseGroup(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5:stompjs": "5 stompjs", "7:soon:plain": "7 soon:plain", "-1:soon": "-1 soon",
	} {
		g, err := ParseGroup(text, []reconnect.Layer{soon})
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprintf("%d %v", g.Clients, g))
	}
	for text, want := range map[string]string{
		"":                 `--group: "": give a number and a layer, like 100:stompjs or 100:stompjs:plain`,
		"stompjs":          `--group: "stompjs": give a number and a layer`,
		"5":                `--group: "5": give a number and a layer`,
		"5:stompjs:json":   `--group: "5:stompjs:json": give a number and a layer`,
		"5:stompjs:plain:": `give a number and a layer`,
		"5:stomp":          `--group: "5:stomp": unknown layer "stomp": use centrifuge, `,
	} {
		_, err := ParseGroup(text, nil)
		require.ErrorContains(t, err, want)
	}
}

// Names that scripts rely on.
func TestLiveEventJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(LiveEvent{})
	require.NoError(t, err)
	for _, name := range []string{
		"label", "seconds", "connectionsLost", "connectionsLostByReason", "returns", "peakReturnsPerSecond", "refused",
		"refusedByReason", "away", "p50", "p99", "max", "gone", "unrecovered", "lost", "falselyRecovered", "missed",
		"duplicated", "reordered", "groups",
	} {
		require.Contains(t, string(b), `"`+name+`":`)
	}
}

// A run that its events end has counted what happened until then.
func TestLiveKeepsItsCountsWhenItsEventsCannotBeRead(t *testing.T) {
	t.Parallel()
	url := startGateway(t, recoverableRule("*", 1000))
	events := filepath.Join(t.TempDir(), "events")
	written := false
	o := liveOptions(url, func(o *Options) { o.Events, o.Duration = events, time.Minute })
	r := runLive(t, o, func(s Sample) bool {
		if s.DeliveriesPerSecond > 0 && !written {
			written = true
			appendLine(t, events, strings.Repeat("event\n", maxEvents+5))
		}
		return false
	})
	require.Len(t, r.Failures, 1)
	require.Contains(t, r.Failures[0], "--events: more than 1000 lines in "+events)
	require.Len(t, r.Live.Events, maxEvents+1)
	require.Positive(t, r.Delivery.Received)
	require.Zero(t, r.Live.Total.Lost)
}

// The gap behind an answer is noticed at the first message that is new.
func TestFalseGapIsNoticedBehindAMessageThatComesAgain(t *testing.T) {
	t.Parallel()
	state := resumeState{toldComplete: true}
	state.noticeGap(7, 7, false)
	state.noticeGap(7, 10, false)
	require.Equal(t, []numberRange{{8, 9}}, state.falseGaps)
	state.noticeGap(10, 12, false)
	require.Len(t, state.falseGaps, 1, "what is missing later was not said to be there")
}
