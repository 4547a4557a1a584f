package soak

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/sleep"
	"github.com/wsfleet/wsfleet/test/process"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// actorSet runs the actors of a round against one gateway.
type actorSet struct {
	gateway *process.Gateway
	tally   *tally
	group   sync.WaitGroup
}

// actor is one kind of client that repeats an action.
type actor struct {
	name string
	// count is the number of goroutines that act at once, interval the mean time that each waits between two actions.
	count    int
	interval time.Duration
	act      func(ctx context.Context) (string, error)
}

func (s *actorSet) actors() []actor {
	return []actor{
		{"churn, plain", 8, 30 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.churn(ctx, wsclient.Plain) }},
		{"churn, Centrifuge", 8, 30 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.churn(ctx, wsclient.Centrifuge) }},
		{"compressed", 2, 30 * time.Millisecond, s.echoesCompressed},
		{"noise", 1, 0, s.noise},
		{"never reads", 6, 100 * time.Millisecond, s.neverReads},
		{"half open", 6, 100 * time.Millisecond, s.halfOpen},
		{"too large", 2, 100 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.sendsBroken(ctx, tooLarge) }},
		{"malformed", 4, 50 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.sendsBroken(ctx, malformed) }},
		{"aborts handshake", 4, 50 * time.Millisecond, s.abortsHandshake},
		{"resets", 4, 50 * time.Millisecond, s.resets},
		{"flood", 1, 3 * time.Second, s.flood},
	}
}

// run starts all actors. They end with ctx.
func (s *actorSet) run(ctx context.Context) {
	for _, a := range s.actors() {
		for range a.count {
			s.group.Go(func() { s.repeat(ctx, a) })
		}
	}
}

func (s *actorSet) wait() { s.group.Wait() }

func (s *actorSet) repeat(ctx context.Context, a actor) {
	for ctx.Err() == nil {
		what, err := a.act(ctx)
		s.count(ctx, a.name, what, err)
		_ = sleep.For(ctx, a.interval/2+rand.N(a.interval+1))
	}
}

// count counts an action by its outcome. A temporary refusal is no failure, and no error after the end of ctx is.
func (s *actorSet) count(ctx context.Context, name, what string, err error) {
	refused := (*wsclient.Refused)(nil)
	switch {
	case err == nil:
		s.tally.count(name, what)
	case errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable && refused.RetryAfter != "":
		s.tally.count(name, "refused")
	case ctx.Err() == nil:
		s.tally.fail(name, err)
	}
}

// churn connects, publishes to a channel, receives its own message and disconnects, with or without a close frame.
func (s *actorSet) churn(ctx context.Context, protocol wsclient.Protocol) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	channel := "lobby"
	if rand.N(2) == 0 {
		channel = fmt.Sprintf("room %d", rand.N(1000))
	}
	c, err := wsclient.Dial(ctx, protocol, s.gateway.Addr, channel, nil)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	if _, err := wsclient.Latency(ctx, c, c, fmt.Sprintf("%x", rand.Uint64())); err != nil {
		_ = c.CloseNow()
		return "", fmt.Errorf("hear oneself: %w", err)
	}
	if rand.N(2) == 0 {
		return "cut", c.CloseNow()
	}
	return "closed", c.Close()
}

// echoesCompressed publishes a compressed message and receives it compressed.
func (s *actorSet) echoesCompressed(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	path := channel(fmt.Sprintf("compressed %d", rand.Uint64()))
	c, response, err := websocket.Dial(ctx, "ws://"+s.gateway.Addr+path,
		&websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1})
	if err != nil {
		if response != nil {
			err = &wsclient.Refused{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After")}
		}
		return "", err
	}
	defer func() { _ = c.CloseNow() }()
	text := []byte(strings.Repeat(fmt.Sprintf("%x ", rand.Uint32()), 1+rand.N(2000)))
	if err := c.Write(ctx, websocket.MessageText, text); err != nil {
		return "", fmt.Errorf("send: %w", err)
	}
	_, got, err := c.Read(ctx)
	if err != nil {
		return "", fmt.Errorf("hear oneself: %w", err)
	}
	if !bytes.Equal(text, got) {
		return "", fmt.Errorf("%d bytes came back as %d others", len(text), len(got))
	}
	return "closed", c.Close(websocket.StatusNormalClosure, "")
}

// noise publishes large messages to the clients that never read, each when it has received the one before.
func (s *actorSet) noise(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("noise"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	message := frame(fin|binaryMessage, strings.Repeat("n", 32<<10))
	echo := make([]byte, 4+32<<10)
	for ctx.Err() == nil {
		_ = c.SetDeadline(time.Now().Add(timeout))
		if _, err := io.WriteString(c, message); err != nil {
			return "", fmt.Errorf("publish: %w", err)
		}
		for at := 0; at < len(echo); {
			n, err := c.in.Read(echo[at:])
			if err != nil {
				return "", fmt.Errorf("hear oneself: %w", err)
			}
			// A ping of two bytes may come between messages.
			if at == 0 && n >= 2 && echo[0] == fin|pingFrame {
				if _, err := io.WriteString(c, frame(fin|pongFrame, "")); err != nil {
					return "", fmt.Errorf("pong: %w", err)
				}
				copy(echo, echo[2:n])
				n -= 2
			}
			at += n
		}
		s.tally.count("noise", "messages of 32 KiB")
		_ = sleep.For(ctx, 10*time.Millisecond)
	}
	return "rounds", nil
}

// neverReads subscribes to the noise and reads nothing. It notices by a reset that the gateway has dropped it.
func (s *actorSet) neverReads(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("noise"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	for deadline := time.Now().Add(4 * timeout); time.Now().Before(deadline); _ = sleep.For(ctx, 50*time.Millisecond) {
		if ctx.Err() != nil {
			return "still there at the end", nil
		}
		if _, err := io.WriteString(c, frame(fin|pongFrame, "")); err != nil {
			return "dropped", nil
		}
	}
	return "", fmt.Errorf("still connected after %v without reading", 4*timeout)
}

// halfOpen answers nothing, like a peer whose network is gone. It reads to see when the gateway drops it.
func (s *actorSet) halfOpen(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("half open"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	if _, err := io.Copy(io.Discard, c.in); err != nil {
		if ctx.Err() != nil {
			return "still there at the end", nil
		}
		return "", fmt.Errorf("not found to be gone: %w", err)
	}
	return "dropped", nil
}

// brokenFrames are frames that violate the RFC or a limit, and the code that the gateway must close with.
type brokenFrames struct {
	frames string
	codes  [2]byte
}

var tooLarge = []brokenFrames{
	{"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", [2]byte{0x03, 0xf1}},
	{frame(binaryMessage, strings.Repeat("x", messageLimit)) + frame(fin, "x"), [2]byte{0x03, 0xf1}},
	{frame(fin|textMessage, strings.Repeat("x", 3*messageLimit)), [2]byte{0x03, 0xf1}},
	{frame(fin|compressed|binaryMessage, compressedZeros(1<<20)), [2]byte{0x03, 0xf1}},
}

var malformed = []brokenFrames{
	{"\x81\x05hello", [2]byte{0x03, 0xea}},
	{frame(fin|0x20|textMessage, "reserved"), [2]byte{0x03, 0xea}},
	{frame(fin|compressed|pingFrame, ""), [2]byte{0x03, 0xea}},
	{frame(fin|compressed|textMessage, "\xff no deflate"), [2]byte{0x03, 0xef}},
	{frame(fin|0x3, "unknown"), [2]byte{0x03, 0xea}},
	{frame(fin, "continues nothing"), [2]byte{0x03, 0xea}},
	{frame(textMessage, "a") + frame(fin|textMessage, "b"), [2]byte{0x03, 0xea}},
	{frame(pingFrame, "in fragments"), [2]byte{0x03, 0xea}},
	{frame(fin|pingFrame, strings.Repeat("p", 126)), [2]byte{0x03, 0xea}},
	{"\x82\xfe\x00\x01\x00\x00\x00\x00x", [2]byte{0x03, 0xea}},
	{frame(fin|closeFrame, "\x03"), [2]byte{0x03, 0xea}},
	{frame(fin|textMessage, "\xff\xfe"), [2]byte{0x03, 0xef}},
	{frame(fin|closeFrame, "\x03\xe8\xff"), [2]byte{0x03, 0xef}},
}

// compressedZeros returns n zeros, compressed.
func compressedZeros(n int) string {
	var b bytes.Buffer
	// Writing to memory at a valid level cannot fail.
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, n))
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// sendsBroken sends one of all, and checks the close code.
func (s *actorSet) sendsBroken(ctx context.Context, all []brokenFrames) (string, error) {
	b := all[rand.N(len(all))]
	c, err := s.open(ctx, channel("broken"), "Sec-WebSocket-Extensions: permessage-deflate")
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, b.frames); err != nil {
		return "", fmt.Errorf("send %.20q: %w", b.frames, err)
	}
	answer, err := io.ReadAll(c.in)
	if err != nil {
		return "", fmt.Errorf("after %.20q: %w", b.frames, err)
	}
	// A ping may precede the close frame.
	answer = []byte(strings.TrimPrefix(string(answer), "\x89\x00"))
	if len(answer) < 4 || answer[0] != fin|closeFrame || [2]byte(answer[2:4]) != b.codes {
		return "", fmt.Errorf("after %.20q the gateway says %.20q", b.frames, answer)
	}
	return "closed", nil
}

// abortsHandshake ends the connection somewhere inside a handshake or right after it: with a reset, with a half close,
// or with a close.
func (s *actorSet) abortsHandshake(ctx context.Context) (string, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	whole := handshake(channel("aborted"))
	// The gateway may have closed the connection already, so an error is fine.
	_, _ = io.WriteString(c, whole[:rand.N(len(whole)+1)])
	switch rand.N(3) {
	case 0:
		_ = c.SetLinger(0)
		return "reset", nil
	case 1:
		_ = c.CloseWrite()
		_ = c.SetDeadline(time.Now().Add(timeout))
		if _, err := io.Copy(io.Discard, c.in); errors.Is(err, os.ErrDeadlineExceeded) {
			return "", fmt.Errorf("half closed, and not let go after %v", timeout)
		}
		return "half closed", nil
	}
	return "closed", nil
}

// resets resets the connection inside a fragmented message.
func (s *actorSet) resets(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("lobby"))
	if err != nil {
		return "", err
	}
	_, _ = io.WriteString(c, frame(fin|textMessage, "about to")+frame(textMessage, "never whole"))
	_ = c.SetLinger(0)
	_ = c.Close()
	return "reset", nil
}

// flood connects 200 clients at once and resets them.
func (s *actorSet) flood(ctx context.Context) (string, error) {
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			c, err := s.open(ctx, channel("flood"))
			s.count(ctx, "flood", "handshakes", err)
			if err == nil {
				_ = c.SetLinger(0)
				_ = c.Close()
			}
		})
	}
	group.Wait()
	return "waves", nil
}

// raw is a TCP connection on which an actor writes frames itself.
type raw struct {
	*net.TCPConn
	in *bufio.Reader
}

// receiveBuffer keeps the system from buffering megabytes for a client that does not read.
const receiveBuffer = 8 << 10

func (s *actorSet) connect(ctx context.Context) (*raw, error) {
	d := net.Dialer{Timeout: timeout, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF,
				receiveBuffer)
		})
	}}
	c, err := d.DialContext(ctx, "tcp", s.gateway.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &raw{c.(*net.TCPConn), bufio.NewReader(c)}, nil
}

func channel(name string) string {
	return contract.PathPlain + "?" + url.Values{"channel": {name}}.Encode()
}

func handshake(path string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
		strings.Join(append(lines, "", ""), "\r\n")
}

// open connects and completes the handshake.
func (s *actorSet) open(ctx context.Context, path string, lines ...string) (*raw, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(timeout))
	_, err = io.WriteString(c, handshake(path, lines...))
	if err == nil {
		var response *http.Response
		if response, err = http.ReadResponse(c.in, nil); err == nil && response.StatusCode != http.StatusSwitchingProtocols {
			err = &wsclient.Refused{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After")}
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	// An actor may use the connection for the whole round.
	_ = c.SetDeadline(time.Time{})
	return c, nil
}

const (
	fin           = 0x80
	compressed    = 0x40
	textMessage   = 0x1
	binaryMessage = 0x2
	closeFrame    = 0x8
	pingFrame     = 0x9
	pongFrame     = 0xA
)

// frame returns a client's frame with a mask of zeros (RFC 6455 section 5.2).
func frame(first byte, payload string) string {
	const mask = "\x00\x00\x00\x00"
	switch n := len(payload); {
	case n < 126:
		return string([]byte{first, 0x80 | byte(n)}) + mask + payload
	case n < 1<<16:
		return string([]byte{first, 0x80 | 126, byte(n >> 8), byte(n)}) + mask + payload
	default:
		return string([]byte{first, 0x80 | 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8),
			byte(n)}) + mask + payload
	}
}
