package conformance

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sections are the rows of the result, in the order of the RFC.
var sections = [...]struct{ number, title string }{
	{"4", "opening handshake"},
	{"5.2", "base framing"},
	{"5.3", "masking"},
	{"5.4", "fragmentation"},
	{"5.5", "control frames"},
	{"5.6", "data frames"},
	{"7", "closing"},
	{"8.1", "UTF-8"},
	{"10.2", "origin"},
	{"10.4", "limits"},
	{"7692", "compression (RFC 7692)"},
}

// tally counts the outcomes of cases by section and peer.
type tally struct {
	peers []string

	mu    sync.Mutex
	cells map[[2]string]*score
}

type score struct{ passed, failed, impossible int }

func (y *tally) score(peer, section string) *score {
	if y.cells == nil {
		y.cells = map[[2]string]*score{}
	}
	key := [2]string{section, peer}
	if y.cells[key] == nil {
		y.cells[key] = &score{}
	}
	return y.cells[key]
}

func (y *tally) add(peer, section string, passed bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if passed {
		y.score(peer, section).passed++
	} else {
		y.score(peer, section).failed++
	}
}

// addImpossible counts a case that a peer cannot carry out.
func (y *tally) addImpossible(peer, section string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.score(peer, section).impossible++
}

func (c *score) String() string {
	if c == nil || *c == (score{}) {
		return "-"
	}
	text := fmt.Sprintf("%d/%d", c.passed, c.passed+c.failed)
	if c.impossible > 0 {
		text += fmt.Sprintf(" (%d no means)", c.impossible)
	}
	return text
}

// String returns a table of passed and run cases.
func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-30s", "RFC 6455")
	for _, peer := range y.peers {
		fmt.Fprintf(&b, "%-22s", peer)
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "\n%-30s", s.number+" "+s.title)
		for _, peer := range y.peers {
			fmt.Fprintf(&b, "%-22s", y.cells[[2]string{s.number, peer}])
		}
	}
	return b.String() + "\n"
}

func TestTallyStringShowsAllSections(t *testing.T) {
	y := &tally{peers: []string{"raw", "browser"}}
	y.add("raw", "4", true)
	y.add("raw", "4", false)
	y.addImpossible("browser", "5.5")
	lines := strings.Split(strings.TrimSpace(y.String()), "\n")
	require.Len(t, lines, 1+len(sections))
	require.Equal(t, []string{"4", "opening", "handshake", "1/2", "-"}, strings.Fields(lines[1]))
	require.Equal(t, []string{"5.5", "control", "frames", "-", "0/0", "(1", "no", "means)"}, strings.Fields(lines[5]))
}
