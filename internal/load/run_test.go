package load

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestRunScenarios(t *testing.T) {
	t.Parallel()
	url := startGateway(t)
	type expectation struct {
		connections int64
		phases      []string
		// receivers is the number of deliveries of one publication; 0 when the scenario publishes nothing.
		receivers int64
	}
	for name, c := range map[string]struct {
		scenario Scenario
		change   func(*Options)
		expectation
	}{
		"idle":           {Idle, func(o *Options) { o.Channels = 3 }, expectation{6, []string{"connect", "hold"}, 0}},
		"fanout, open":   {Fanout, func(o *Options) { o.Rate = 100 }, expectation{7, []string{"connect", "run"}, 7}},
		"fanout, closed": {Fanout, func(o *Options) { o.Window = 3 }, expectation{7, []string{"connect", "run"}, 7}},
		"fanout, two": {Fanout, func(o *Options) { o.Window, o.Channels = 3, 2 },
			expectation{8, []string{"connect", "run"}, 4}},
		"chat, open": {Chat, func(o *Options) { o.Channels, o.Rate = 2, 200 },
			expectation{6, []string{"connect", "run"}, 3}},
		"chat, closed": {Chat, func(o *Options) { o.Channels, o.Window = 2, 4 },
			expectation{6, []string{"connect", "run"}, 3}},
		"direct, open":   {Direct, func(o *Options) { o.Rate = 200 }, expectation{6, []string{"connect", "run"}, 2}},
		"direct, closed": {Direct, func(o *Options) { o.Window = 6 }, expectation{6, []string{"connect", "run"}, 2}},
		"idle, connect first": {Idle, func(o *Options) { o.ConnectFirst = o.Protocol == Centrifuge },
			expectation{6, []string{"connect", "hold"}, 0}},
		"idle, several channels": {Idle, func(o *Options) {
			if o.Channels = 4; o.Protocol == Centrifuge {
				o.Subscriptions = 4
			}
		}, expectation{6, []string{"connect", "hold"}, 0}},
		"paced connects": {Idle, func(o *Options) { o.ConnectRate = 200 }, expectation{6, []string{"connect", "hold"}, 0}},
		"large messages": {Fanout, func(o *Options) { o.Window, o.MessageBytes = 1, 20000 },
			expectation{7, []string{"connect", "run"}, 7}},
		"smallest messages": {Fanout, func(o *Options) { o.Window, o.MessageBytes = 1, minMessageBytes },
			expectation{7, []string{"connect", "run"}, 7}},
	} {
		for _, protocol := range []Protocol{Plain, Centrifuge} {
			t.Run(fmt.Sprintf("%s, %s", name, protocol), func(t *testing.T) {
				t.Parallel()
				o := options(c.scenario, url, func(o *Options) {
					o.Protocol, o.ChannelPrefix = protocol, strings.ReplaceAll(t.Name(), "/", "-")
					// Long enough for deliveries within it on a machine that is busy otherwise.
					o.Duration = time.Second
					c.change(o)
				})
				r := run(t, o)
				require.Empty(t, r.Failures)
				require.Equal(t, c.connections, r.Connect.Connected)
				require.Positive(t, r.Connect.Latency.P50)
				var phases []string
				for _, p := range r.Phases {
					phases = append(phases, p.Name)
				}
				require.Equal(t, c.phases, phases)
				if c.receivers == 0 {
					require.Zero(t, r.Publish.Sent)
					return
				}
				require.Positive(t, r.Publish.Sent)
				require.Equal(t, r.Publish.Sent*c.receivers, r.Delivery.Expected)
				require.Equal(t, r.Delivery.Expected, r.Delivery.Received)
				require.Zero(t, r.Delivery.Lost+r.Delivery.Duplicated+r.Delivery.Reordered)
				require.Positive(t, r.Delivery.Latency.P50)
				require.Positive(t, r.Delivery.PerSecond)
				if protocol == Centrifuge {
					require.Equal(t, r.Publish.Sent, r.Publish.Acknowledged)
				}
			})
		}
	}
}

func TestRunOpenLoopOffersRate(t *testing.T) {
	r := run(t, options(Fanout, startGateway(t), func(o *Options) { o.Rate, o.Duration = 100, 500*time.Millisecond }))
	require.Empty(t, r.Failures)
	require.InDelta(t, 50, r.Publish.Sent, 1)
}

func TestRunStorm(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.accept = func(handshakes int) int {
			// The server refuses one client of the second storm, which retries.
			if handshakes == 14 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
	})
	r := run(t, options(Storm, f.url(), func(o *Options) { o.Cycles, o.Jitter = 2, 20*time.Millisecond }))
	require.Empty(t, r.Failures)
	require.Equal(t, int64(6), r.Connect.Connected)
	require.Len(t, r.Steps, 2)
	for _, s := range r.Steps {
		require.Equal(t, 6, s.Clients)
		require.Equal(t, int64(6), s.Connect.Connected)
		require.Positive(t, s.BackAfterSeconds)
		require.Positive(t, s.Connect.Latency.P50)
	}
	require.Equal(t, int64(7), r.Steps[1].Connect.Attempted)
	var attempted, connected int64
	for _, second := range r.Steps[1].Timeline {
		attempted, connected = attempted+second.Attempted, connected+second.Connected
	}
	require.Equal(t, []int64{7, 6}, []int64{attempted, connected})
	require.Equal(t, map[string]int64{"handshake refused: 503 Service Unavailable": 1}, r.Steps[1].Connect.Errors)
	require.Empty(t, r.Disconnects, "dropped by this side")
}

// Without jitter a refused client tries again after the same time each time.
func TestRunStormRetriesAfterADelay(t *testing.T) {
	t.Parallel()
	const refusals = 3
	f := startFakeServer(t, func(f *fakeServer) {
		f.accept = func(handshakes int) int {
			if handshakes == 7 || handshakes > 12 && handshakes < 12+refusals {
				return http.StatusServiceUnavailable
			}
			return 0
		}
	})
	r := run(t, options(Storm, f.url(), func(o *Options) { o.RetryDelay = 300 * time.Millisecond }))
	require.Empty(t, r.Failures)
	require.Equal(t, int64(6+refusals), r.Steps[0].Connect.Attempted)
	require.GreaterOrEqual(t, r.Steps[0].BackAfterSeconds, 0.3*refusals)
}

func TestRunStormReportsClientsThatStayAway(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.accept = func(handshakes int) int {
			if handshakes > 11 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
	})
	r := run(t, options(Storm, f.url(), func(o *Options) { o.Timeout = time.Second }))
	require.Equal(t, int64(1), r.Steps[0].Connect.Failed)
	require.Len(t, r.Failures, 1)
	require.Contains(t, r.Failures[0], "1 clients did not come back within 1s: handshake refused: 503 Service Unavailable")
}

func TestRunRamp(t *testing.T) {
	r := run(t, options(Ramp, startGateway(t), func(o *Options) { o.StepClients, o.Rate = 2, 50 }))
	require.Empty(t, r.Failures)
	require.Equal(t, int64(7), r.Connect.Connected)
	require.Len(t, r.Steps, 3)
	for i, s := range r.Steps {
		require.Equal(t, 2*i+2, s.Clients)
		require.Equal(t, int64(2*i+3), s.Delivery.Expected/s.Publish.Sent, "the publisher is a subscriber too")
		require.Zero(t, s.Delivery.Lost)
	}
}

func TestRunRampEndsAtMaxP99(t *testing.T) {
	r := run(t,
		options(Ramp, startGateway(t), func(o *Options) { o.StepClients, o.Rate, o.MaxP99 = 2, 50, time.Nanosecond }))
	require.Empty(t, r.Failures)
	require.Len(t, r.Steps, 1)
	require.Equal(t, "p99 was above 1ns", r.Ended)
}

func TestRunCountsServerMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deliver                     func(p *fakePeer, line []byte)
		lost, duplicated, reordered int64
	}{
		// Each mistake concerns the third of ten messages of each subscriber, if nothing else is said.
		"lost": {func(p *fakePeer, line []byte) {
			if p.seen++; p.seen != 3 {
				p.send(string(line))
			}
		}, 1, 0, 0},
		"the last one lost": {func(p *fakePeer, line []byte) {
			if p.seen++; p.seen != 10 {
				p.send(string(line))
			}
		}, 1, 0, 0},
		"duplicated": {func(p *fakePeer, line []byte) {
			p.send(string(line))
			if p.seen++; p.seen == 3 {
				p.send(string(line))
			}
		}, 0, 1, 0},
		"reordered": {func(p *fakePeer, line []byte) {
			if p.seen++; p.seen == 3 {
				p.delayed = line
				return
			}
			p.send(string(line))
			if p.seen == 5 {
				p.send(string(p.delayed))
			}
		}, 0, 0, 1},
	} {
		for _, protocol := range []Protocol{Plain, Centrifuge} {
			t.Run(fmt.Sprintf("%s, %s", name, protocol), func(t *testing.T) {
				t.Parallel()
				f := startFakeServer(t, func(f *fakeServer) { f.deliver = c.deliver })
				r := run(t, options(Fanout, f.url(), func(o *Options) {
					o.Protocol, o.Rate, o.Warmup, o.Duration = protocol, 50, 0, 200*time.Millisecond
					if c.lost > 0 {
						o.Timeout = 2 * time.Second
					}
				}))
				require.Equal(t, int64(10), r.Publish.Sent)
				subscribers := int64(7)
				require.Equal(t, 10*subscribers, r.Delivery.Expected)
				require.Equal(t, c.lost*subscribers, r.Delivery.Lost, "lost")
				require.Equal(t, c.duplicated*subscribers, r.Delivery.Duplicated, "duplicated")
				require.Equal(t, c.reordered*subscribers, r.Delivery.Reordered, "reordered")
				require.Empty(t, r.Failures, "an open loop tells, and goes on")
			})
		}
	}
}

func TestRunClosedLoopFailsOnLostMessage(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.deliver = func(p *fakePeer, line []byte) {
			if p.seen++; p.seen != 3 {
				p.send(string(line))
			}
		}
	})
	r := run(t, options(Fanout, f.url(), func(o *Options) {
		o.Window, o.Warmup, o.Duration, o.Timeout = 1, 0, time.Hour, time.Second
	}))
	require.Equal(t, int64(7), r.Delivery.Lost)
	require.Equal(t, []string{"the closed loop waited 1s for 1 publications that not all subscribers got"}, r.Failures)
}

// TestRunStallShowsInLatency tests against coordinated omission: the latency of a message counts from when it was due,
// also when a stall of the server delayed sending it.
func TestRunStallShowsInLatency(t *testing.T) {
	const stall = 500 * time.Millisecond
	f := startFakeServer(t, func(f *fakeServer) {
		published := 0
		f.publish = func(*fakePeer) string {
			if published++; published == 10 {
				time.Sleep(stall)
			}
			return `"publish":{}`
		}
	})
	r := run(t, options(Fanout, f.url(), func(o *Options) { o.Rate, o.Warmup, o.Duration = 100, 0, time.Second }))
	require.Zero(t, r.Delivery.Lost)
	require.Equal(t, int64(700), r.Delivery.Received)
	// Half of the messages were due within the stall, a fifth in its first two fifths.
	require.Greater(t, r.Delivery.Latency.P90, 0.6*stall.Seconds())
	require.GreaterOrEqual(t, r.Delivery.Latency.Max, 0.99*stall.Seconds())
}

func TestRunDoesNotExpectRefusedPublications(t *testing.T) {
	t.Parallel()
	for name, window := range map[string]int{"open": 0, "closed": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFakeServer(t, func(f *fakeServer) {
				f.publish = func(p *fakePeer) string {
					// The first one too: on a busy machine few publications fit into the run.
					if p.seen++; p.seen%5 == 1 {
						return `"error":{"code":100,"message":"no broker"}`
					}
					return `"publish":{}`
				}
				f.deliver = func(p *fakePeer, line []byte) { p.send(string(line)) }
			})
			r := run(t, options(Fanout, f.url(), func(o *Options) {
				o.Rate, o.Window, o.Warmup = 50, window, 0
				if window > 0 {
					o.Rate = 0
				}
			}))
			require.Positive(t, r.Publish.Failed)
			require.Equal(t, r.Publish.Sent, r.Publish.Acknowledged+r.Publish.Failed)
			require.Equal(t, 7*r.Publish.Acknowledged, r.Delivery.Expected)
			require.Zero(t, r.Delivery.Lost)
			require.Contains(t, r.Publish.Errors, "the server answered error 100: no broker")
		})
	}
}

func TestRunSeveralProcesses(t *testing.T) {
	t.Parallel()
	url := startGateway(t)
	for name, change := range map[string]func(*Options){
		"open":   func(o *Options) { o.Rate = 100 },
		"closed": func(o *Options) { o.Window = 2 },
	} {
		for _, scenario := range []Scenario{Fanout, Chat} {
			t.Run(fmt.Sprintf("%s, %s", scenario, name), func(t *testing.T) {
				t.Parallel()
				r := run(t, options(scenario, url, func(o *Options) {
					o.Processes, o.Clients, o.ChannelPrefix = 3, 10, strings.ReplaceAll(t.Name(), "/", "-")
					change(o)
				}))
				require.Empty(t, r.Failures)
				require.Equal(t, 3, r.Processes)
				require.GreaterOrEqual(t, r.Connect.Connected, int64(10))
				require.Positive(t, r.Publish.Sent)
				require.Equal(t, r.Connect.Connected*r.Publish.Sent, r.Delivery.Received)
				require.Zero(t, r.Delivery.Lost+r.Delivery.Duplicated+r.Delivery.Reordered)
			})
		}
	}
}

func TestRunReportsFullServer(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.accept = func(handshakes int) int {
			if handshakes > 4 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
	})
	r := run(t, options(Fanout, f.url(), func(o *Options) { o.Rate, o.ConnectConcurrency = 50, 1 }))
	require.Equal(t, int64(4), r.Connect.Connected)
	require.Equal(t, int64(3), r.Connect.Failed)
	require.Equal(t, []string{"3 clients could not connect: handshake refused: 503 Service Unavailable (3); " +
		"the server is full, or takes fewer connections a second: try --connect-rate"}, r.Failures)
	require.Equal(t, 4*r.Publish.Sent, r.Delivery.Received, "the publisher came first")
}

func TestRunGivesUpWithoutServer(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	url := "ws" + strings.TrimPrefix(gone.URL, "http")
	gone.Close()
	r := run(t, options(Fanout, url, func(o *Options) { o.Clients, o.ConnectConcurrency = 1000, 10 }))
	require.Zero(t, r.Connect.Connected)
	require.Less(t, r.Connect.Attempted, int64(200), "the rest is spared")
	require.Contains(t, r.Failures[0], "gave up after")
	require.Contains(t, r.Failures[0], "is there a server at "+url)
	require.Contains(t, r.Connect.Errors, "dial: connect: connection refused")
}

func TestRunHandshakeTimesOut(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(hung) })
	r := run(t,
		options(Idle, "ws"+strings.TrimPrefix(s.URL, "http"), func(o *Options) { o.Timeout = 100 * time.Millisecond }))
	require.Equal(t, map[string]int64{"timeout": 6}, r.Connect.Errors)
}

func TestRunEndsWhenServerCutsAll(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"hold":   func(o *Options) { o.Scenario, o.Clients = Idle, 6 },
		"open":   func(o *Options) { o.Rate = 50 },
		"closed": func(o *Options) { o.Window = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFakeServer(t, func(*fakeServer) {})
			o := options(Fanout, f.url(), func(o *Options) {
				o.Clients, o.Duration, o.Hold = 5, time.Hour, time.Hour
				change(o)
			})
			r, err := Run(t.Context(), o, Callbacks{Progress: func(s Sample) {
				if s.Phase == "run" || s.Phase == "hold" {
					f.cut()
				}
			}})
			require.NoError(t, err)
			ended := int64(0)
			for text, n := range r.Disconnects {
				// The system resets a connection that is closed before the server has read all bytes.
				require.Contains(t, []string{"cut without a close frame", "connection reset by peer"}, text)
				ended += n
			}
			require.Equal(t, int64(6), ended)
			require.Contains(t, r.Failures, errAllDisconnected.Error())
		})
	}
}

func TestRunReportsCloseCodes(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.publish = func(p *fakePeer) string {
			go func() { _ = p.conn.Close(3008, "slow") }()
			return `"publish":{}`
		}
	})
	r := run(t, options(Fanout, f.url(), func(o *Options) { o.Rate = 100 }))
	require.Equal(t, map[string]int64{"closed by the server: 3008 slow": 1}, r.Disconnects)
	require.Contains(t, r.Failures, "connections ended that should not have: closed by the server: 3008 slow (1)")
}

func TestRunCancelledHasResult(t *testing.T) {
	t.Parallel()
	url := startGateway(t, recoverableRule("*", 1000))
	for name, change := range map[string]func(*Options){
		"connecting": func(o *Options) { o.ConnectRate, o.Clients = 20, 10000 },
		"hold":       func(o *Options) { o.Scenario = Idle },
		"open":       func(o *Options) { o.Rate = 50 },
		"closed":     func(o *Options) { o.Window = 2 },
		"processes":  func(o *Options) { o.Window, o.Processes = 2, 2 },
		"live":       func(o *Options) { o.Scenario, o.Rate = Live, 50 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := options(Fanout, url, func(o *Options) {
				o.Duration, o.Hold, o.ChannelPrefix = time.Hour, time.Hour, strings.ReplaceAll(t.Name(), "/", "-")
				change(o)
			})
			delivers := o.publishes() && name != "connecting"
			r, err := Run(ctx, o, Callbacks{WorkerCommand: startWorker, Progress: func(s Sample) {
				if s.Connected > 0 && (!delivers || s.DeliveriesPerSecond > 0) {
					cancel()
				}
			}})
			require.NoError(t, err)
			require.True(t, r.Interrupted)
			require.Empty(t, r.Failures)
			require.Positive(t, r.Connect.Connected)
			require.NotEmpty(t, r.Samples)
			if delivers {
				require.Positive(t, r.Delivery.Received)
			}
		})
	}
}

func TestRunAnswersPings(t *testing.T) {
	t.Parallel()
	answered := make(chan string, 12)
	f := startFakeServer(t, func(f *fakeServer) {
		f.onSubscribed = func(p *fakePeer) {
			go func() {
				p.send("{}")
				answered <- <-p.pongs
				if err := p.conn.Ping(context.Background()); err == nil {
					answered <- "RFC 6455"
				}
			}()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan *Result, 1)
	go func() {
		r, _ := Run(ctx, options(Idle, f.url(), func(o *Options) { o.Hold = time.Hour }), Callbacks{})
		got <- r
	}()
	count := map[string]int{}
	for range 12 {
		select {
		case a := <-answered:
			count[a]++
		case <-time.After(testTimeout):
			require.FailNow(t, "a ping was not answered")
		}
	}
	cancel()
	require.Equal(t, map[string]int{"{}": 6, "RFC 6455": 6}, count)
	require.Empty(t, (<-got).Failures)
}

func TestRunTLS(t *testing.T) {
	t.Parallel()
	f := newFakeServer(func(*fakeServer) {})
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.stop)
	r := run(t, options(Fanout, f.url(), func(o *Options) { o.Window, o.InsecureSkipVerify = 2, true }))
	require.Empty(t, r.Failures)
	require.Equal(t, 7*r.Publish.Sent, r.Delivery.Received)

	r = run(t, options(Idle, f.url(), func(*Options) {}))
	require.Zero(t, r.Connect.Connected)
	require.Contains(t, r.Failures[1], "certificate")
}

func TestRunSendsHeadersFromSources(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 6)
	f := newFakeServer(func(*fakeServer) {})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- strings.Split(r.RemoteAddr, ":")[0] + " " + r.Header.Get("X-Test") + " " + r.Host + " " + r.URL.Path
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(f.stop)
	r := run(t, options(Idle, f.url(), func(o *Options) {
		o.Header = http.Header{"X-Test": {"yes"}, "Host": {"example.com"}}
		sources, err := ParseSources("127.0.0.3-127.0.0.5")
		require.NoError(t, err)
		o.Sources = sources
	}))
	require.Empty(t, r.Failures)
	count := map[string]int{}
	for range 6 {
		count[<-seen]++
	}
	const rest = " yes example.com /connection/websocket"
	require.Equal(t, map[string]int{"127.0.0.3" + rest: 2, "127.0.0.4" + rest: 2, "127.0.0.5" + rest: 2}, count)
}

// TestRunReadsRepliesThatShareFrame has a server that sends several replies in one frame, and fragmented messages.
func TestRunReadsRepliesThatShareFrame(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.deliver = func(p *fakePeer, line []byte) {
			if p.seen++; p.seen%2 == 1 {
				p.delayed = line
				return
			}
			w, err := p.conn.Writer(context.Background(), websocket.MessageText)
			if err != nil {
				return
			}
			for _, part := range []string{string(p.delayed) + "\n" + string(line[:5]), string(line[5:]), "\n{}"} {
				_, _ = w.Write([]byte(part))
			}
			_ = w.Close()
		}
	})
	r := run(t, options(Fanout, f.url(), func(o *Options) { o.Rate, o.Warmup, o.Duration = 50, 0, 200*time.Millisecond }))
	require.Empty(t, r.Failures)
	require.Equal(t, int64(70), r.Delivery.Received)
	require.Zero(t, r.Delivery.Lost)
}

func TestRunObservesServer(t *testing.T) {
	t.Parallel()
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("process_cpu_seconds_total 12.5\nprocess_resident_memory_bytes 4096\n"))
	}))
	t.Cleanup(metrics.Close)
	url := startGateway(t)
	for name, c := range map[string]struct {
		change func(*Options)
		check  func(t *testing.T, p *ServerPhase)
	}{
		"pid": {func(o *Options) { o.ServerPID = os.Getpid() }, func(t *testing.T, p *ServerPhase) {
			require.Positive(t, p.CPUSeconds)
			require.Greater(t, p.RSSEndBytes, int64(1<<20))
		}},
		"metrics": {func(o *Options) { o.MetricsURL = metrics.URL }, func(t *testing.T, p *ServerPhase) {
			require.Equal(t, &ServerPhase{RSSStartBytes: 4096, RSSEndBytes: 4096}, p)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, options(Idle, url, c.change))
			require.Empty(t, r.Failures)
			require.Len(t, r.Phases, 2)
			for _, p := range r.Phases {
				c.check(t, p.Server)
			}
			require.Positive(t, r.Server.RSSBytes)
		})
	}
}

func TestRunRefusesUnobservableServer(t *testing.T) {
	t.Parallel()
	empty := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(empty.Close)
	for flag, change := range map[string]func(*Options){
		"server-pid":  func(o *Options) { o.ServerPID = 1 << 30 },
		"metrics-url": func(o *Options) { o.MetricsURL = empty.URL },
	} {
		_, err := Run(t.Context(), options(Idle, "ws://127.0.0.1:1", change), Callbacks{})
		var wrong *Error
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, flag, wrong.Flag)
	}
}

func TestRunReportsKilledWorker(t *testing.T) {
	t.Parallel()
	f := startFakeServer(t, func(f *fakeServer) {
		f.subscribe = func(string) string { return `{"recoverable":true,"epoch":"e"}` }
	})
	for name, change := range map[string]func(*Options){
		"live":   func(o *Options) { o.Scenario = Live },
		"idle":   func(o *Options) { o.Scenario = Idle },
		"open":   func(o *Options) { o.Rate = 50 },
		"closed": func(o *Options) { o.Window = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var workers []*exec.Cmd
			start := func() *exec.Cmd {
				cmd := startWorker()
				cmd.Stderr = nil
				workers = append(workers, cmd)
				return cmd
			}
			o := options(Fanout, f.url(), func(o *Options) {
				o.Processes, o.Hold, o.Duration, o.Timeout, o.ChannelPrefix = 2, time.Hour, time.Hour, time.Second, name
				change(o)
			})
			r, err := Run(t.Context(), o,
				Callbacks{WorkerCommand: start, Progress: func(Sample) { _ = workers[1].Process.Kill() }})
			require.NoError(t, err)
			require.Contains(t, r.Failures, "worker 1: its process is gone")
			require.Contains(t, r.Failures, "worker 1: signal: killed")
			require.False(t, r.Interrupted, "not by the user")
		})
	}
}
