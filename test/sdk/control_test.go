package sdk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wsfleet/wsfleet/test/process"
)

// control lets a script have gateways of its own, and end them: POST /start with a name and flags
// answers with the address; POST /kill, /stop and /restart take a name.
type control struct {
	url   string
	suite *suite
	// calls are carried out on the test's own goroutine, which alone may end the test.
	calls    chan call
	gateways map[string]*process.Gateway
}

type call struct {
	method string
	Name   string   `json:"name"`
	Flags  []string `json:"flags"`
	answer chan<- reply
}

type reply struct {
	Addr  string `json:"addr,omitempty"`
	Error string `json:"error,omitempty"`
}

func newControl(t *testing.T, s *suite) *control {
	t.Helper()
	c := &control{suite: s, calls: make(chan call), gateways: map[string]*process.Gateway{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := make(chan reply, 1)
		asked := call{method: r.URL.Path, answer: answer}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case c.calls <- asked:
		case <-r.Context().Done():
			return
		}
		_ = json.NewEncoder(w).Encode(<-answer)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// serve carries out what the script asks for until it has ended.
func (c *control) serve(t *testing.T, script func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		script()
	}()
	for {
		select {
		case asked := <-c.calls:
			asked.answer <- c.do(t, asked)
		case <-ended:
			return
		}
	}
}

func (c *control) do(t *testing.T, asked call) reply {
	t.Helper()
	if asked.method == "/start" {
		g := c.suite.start(t, asked.Name, asked.Flags...)
		c.gateways[asked.Name] = g
		return reply{Addr: g.Addr}
	}
	g := c.gateways[asked.Name]
	if g == nil {
		return reply{Error: "no gateway " + asked.Name}
	}
	if err := change(g, asked.method); err != nil {
		return reply{Error: err.Error()}
	}
	return reply{}
}

func change(g *process.Gateway, method string) error {
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
