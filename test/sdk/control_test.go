package sdk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wsfleet/wsfleet/test/process"
)

// control is an HTTP server with which a script starts and ends gateways of its own. POST /start takes a name and flags
// and answers with the address. POST /kill, /stop and /restart take a name. POST /lose takes a channel as name, whose
// stream Redis loses.
type control struct {
	url   string
	suite *suite
	// calls are executed on the test's goroutine, because only that may call FailNow.
	calls    chan controlCall
	gateways map[string]*process.Gateway
}

type controlCall struct {
	method string
	Name   string   `json:"name"`
	Flags  []string `json:"flags"`
	answer chan<- controlReply
}

type controlReply struct {
	Addr  string `json:"addr,omitempty"`
	Error string `json:"error,omitempty"`
}

func newControl(t *testing.T, s *suite) *control {
	t.Helper()
	c := &control{suite: s, calls: make(chan controlCall), gateways: map[string]*process.Gateway{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := make(chan controlReply, 1)
		call := controlCall{method: r.URL.Path, answer: answer}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case c.calls <- call:
		case <-r.Context().Done():
			return
		}
		_ = json.NewEncoder(w).Encode(<-answer)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// serve executes the calls of the script until it has ended.
func (c *control) serve(t *testing.T, script func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		script()
	}()
	for {
		select {
		case call := <-c.calls:
			call.answer <- c.execute(t, call)
		case <-ended:
			return
		}
	}
}

func (c *control) execute(t *testing.T, call controlCall) controlReply {
	t.Helper()
	if call.method == "/start" {
		g := c.suite.start(t, call.Name, call.Flags...)
		c.gateways[call.Name] = g
		return controlReply{Addr: g.Addr}
	}
	if call.method == "/lose" {
		if err := c.suite.redis.LoseStream(t.Context(), call.Name); err != nil {
			return controlReply{Error: err.Error()}
		}
		return controlReply{}
	}
	g := c.gateways[call.Name]
	if g == nil {
		return controlReply{Error: "no gateway " + call.Name}
	}
	if err := endOrRestart(g, call.method); err != nil {
		return controlReply{Error: err.Error()}
	}
	return controlReply{}
}

func endOrRestart(g *process.Gateway, method string) error {
	switch method {
	case "/kill":
		g.Kill()
		return nil
	case "/stop":
		return g.Stop()
	case "/restart":
		return g.Restart()
	}
	return fmt.Errorf("no method %s", method)
}
