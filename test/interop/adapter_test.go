package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timeout bounds the wait for anything that must happen.
const timeout = 30 * time.Second

// command is one line for an adapter.
type command struct {
	ID int `json:"id"`
	// Do is open, send, fragments or close.
	Do    string `json:"do"`
	Stack string `json:"stack,omitempty"`
	// URL is what open connects to. Channel is the channel of a stack that names it itself.
	URL     string `json:"url,omitempty"`
	Channel string `json:"channel,omitempty"`
	// Text is the message of send. Parts are the fragments of one message.
	Text  string   `json:"text,omitempty"`
	Parts []string `json:"parts,omitempty"`
}

// adapter is a process that runs stacks of one language. It reads commands and writes events, one line of JSON each.
type adapter struct {
	name string
	in   io.WriteCloser
	// versions are those of the stacks, by their names.
	versions map[string]string

	// mu guards the fields below.
	mu    sync.Mutex
	last  int
	feeds map[int]*feed
}

// startAdapter runs a program and blocks until it has said its versions. The test's end closes its input and expects
// that it ends then.
func startAdapter(t *testing.T, env []string, program ...string) *adapter {
	t.Helper()
	// The test's context ends before the cleanup, so it would kill the program.
	cmd := exec.CommandContext(context.Background(), program[0], program[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	a := &adapter{name: program[len(program)-1], in: in, feeds: map[int]*feed{0: newFeed()}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		a.read(t, out)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		killTimer := time.AfterFunc(timeout, func() { _ = cmd.Process.Kill() })
		defer killTimer.Stop()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", a.name, err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	hello, _, err := a.feeds[0].await(ctx, 0, func(e event) bool { return e.Versions != nil })
	require.NoError(t, err, "%s does not start", a.name)
	a.versions = hello.Versions
	return a
}

// read hands the adapter's events to their clients until its output ends.
func (a *adapter) read(t *testing.T, out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Logf("%s: %s", a.name, lines.Text())
			continue
		}
		a.mu.Lock()
		f := a.feeds[e.ID]
		a.mu.Unlock()
		if f != nil {
			f.add(e)
		}
	}
}

// attach gives a client's feed a number that commands and events carry.
func (a *adapter) attach(f *feed) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.feeds[a.last] = f
	return a.last
}

// send writes one command. It returns an error when the adapter has ended.
func (a *adapter) send(c command) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s has ended: %w", a.name, err)
	}
	return nil
}
