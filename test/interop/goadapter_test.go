package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
)

// envGoAdapter makes this program the adapter for Go.
const envGoAdapter = "INTEROP_GO_ADAPTER"

// goStack is a client library of Go: it connects, says what happens, and returns what can be done to the connection.
type goStack struct {
	module  string
	connect func(c *goClient) error
}

var goStacks = map[string]goStack{
	"Go gorilla":    {"github.com/gorilla/websocket", connectGorilla},
	"Go coder":      {"github.com/coder/websocket", connectCoder},
	"Go gobwas":     {"github.com/gobwas/ws", connectGobwas},
	"Go x/net":      {"golang.org/x/net", connectXNet},
	"centrifuge-go": {"github.com/centrifugal/centrifuge-go", connectCentrifugeGo},
}

// goClient is one connection of an application in Go.
type goClient struct {
	command
	adapter *goAdapter
	// The next are set by connect before it says that the connection is open.
	send      func(text string) error
	fragments func(parts []string) error
	close     func()
}

// goAdapter runs the stacks.
type goAdapter struct {
	// mu guards the fields below.
	mu      sync.Mutex
	out     *json.Encoder
	clients map[int]*goClient
}

// runGoAdapter carries out commands until the input ends, and returns the exit code.
func runGoAdapter(in io.Reader, out io.Writer) int {
	a := &goAdapter{out: json.NewEncoder(out), clients: map[int]*goClient{}}
	versions := map[string]string{}
	for name, s := range goStacks {
		versions[name] = moduleVersion(s.module)
	}
	a.say(event{Versions: versions})
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			a.say(event{Kind: kindFailed, Text: err.Error()})
			continue
		}
		a.carryOut(c)
	}
	return 0
}

// moduleVersion returns the version that go.mod pins, because test programs do not hold their modules' versions.
func moduleVersion(path string) string {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == path {
			version, _, _ := strings.Cut(strings.TrimPrefix(fields[1], "v"), "-")
			return version
		}
	}
	return "unknown"
}

func (a *goAdapter) say(e event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.out.Encode(e)
}

func (a *goAdapter) carryOut(c command) {
	a.mu.Lock()
	client := a.clients[c.ID]
	if client == nil {
		client = &goClient{command: c, adapter: a}
		a.clients[c.ID] = client
	}
	a.mu.Unlock()
	if err := client.do(c); err != nil {
		client.say(kindFailed, err.Error())
	}
}

func (g *goClient) do(c command) error {
	switch c.Do {
	case "open":
		go func() {
			if err := goStacks[c.Stack].connect(g); err != nil {
				g.last("error " + err.Error())
			}
		}()
		return nil
	case "send":
		return g.send(c.Text)
	case "fragments":
		return g.fragments(c.Parts)
	case "close":
		if g.close != nil {
			g.close()
		}
		return nil
	}
	return fmt.Errorf("unknown command %q", c.Do)
}

// host returns the host of the URL.
func (g *goClient) host() string {
	u, err := url.Parse(g.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

func (g *goClient) say(kind, text string) { g.adapter.say(event{ID: g.ID, Kind: kind, Text: text}) }

// last says the last thing that the application sees of the connection.
func (g *goClient) last(text string) {
	g.adapter.say(event{ID: g.ID, Kind: kindSees, Text: text, Last: true})
}

// got says that the application received a message.
func (g *goClient) got(message []byte) {
	if len(message) > 1000 {
		g.adapter.say(event{ID: g.ID, Kind: kindMessage, Size: len(message)})
		return
	}
	g.say(kindMessage, string(message))
}
