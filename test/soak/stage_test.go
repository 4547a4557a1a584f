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

// stage is where actors play.
type stage struct {
	gateway *process.Gateway
	tally   *tally
	playing sync.WaitGroup
}

// actor does one thing over and over. A turn tells what happened, in a word for the table.
type actor struct {
	name string
	// count is how many do it at once, pause what each waits between two turns.
	count int
	pause time.Duration
	turn  func(ctx context.Context) (string, error)
}

func (s *stage) actors() []actor {
	return []actor{
		{"churn, plain", 8, 30 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.churn(ctx, wsclient.Plain) }},
		{"churn, Centrifuge", 8, 30 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.churn(ctx, wsclient.Centrifuge) }},
		{"compressed", 2, 30 * time.Millisecond, s.compressed},
		{"noise", 1, 0, s.noise},
		{"never reads", 6, 100 * time.Millisecond, s.neverReads},
		{"half open", 6, 100 * time.Millisecond, s.halfOpen},
		{"too large", 2, 100 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.broken(ctx, tooLarge) }},
		{"malformed", 4, 50 * time.Millisecond,
			func(ctx context.Context) (string, error) { return s.broken(ctx, malformed) }},
		{"aborts handshake", 4, 50 * time.Millisecond, s.abortsHandshake},
		{"resets", 4, 50 * time.Millisecond, s.resets},
		{"flood", 1, 3 * time.Second, s.flood},
	}
}

// run starts everybody; they end with the context.
func (s *stage) run(ctx context.Context) {
	for _, a := range s.actors() {
		for range a.count {
			s.playing.Go(func() { s.play(ctx, a) })
		}
	}
}

func (s *stage) wait() { s.playing.Wait() }

func (s *stage) play(ctx context.Context, a actor) {
	for ctx.Err() == nil {
		what, err := a.turn(ctx)
		s.note(ctx, a.name, what, err)
		_ = sleep.For(ctx, a.pause/2+rand.N(a.pause+1))
	}
}

// note counts a turn. To be refused for the time being is no problem, nor is what the end of the round breaks.
func (s *stage) note(ctx context.Context, name, what string, err error) {
	refused := (*wsclient.Refused)(nil)
	switch {
	case err == nil:
		s.tally.saw(name, what)
	case errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable && refused.RetryAfter != "":
		s.tally.saw(name, "refused")
	case ctx.Err() == nil:
		s.tally.fail(name, err)
	}
}

// churn comes, says something that everybody in the lobby hears, hears it itself, and goes: with a word or without.
func (s *stage) churn(ctx context.Context, protocol wsclient.Protocol) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
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

// compressed says something compressed, and gets it back so.
func (s *stage) compressed(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
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

// noise publishes large messages to those who never read, as fast as it gets them back itself.
func (s *stage) noise(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("noise"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	message := frame(fin|binaryMessage, strings.Repeat("n", 32<<10))
	echo := make([]byte, 4+32<<10)
	for ctx.Err() == nil {
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, message); err != nil {
			return "", fmt.Errorf("publish: %w", err)
		}
		for at := 0; at < len(echo); {
			n, err := c.in.Read(echo[at:])
			if err != nil {
				return "", fmt.Errorf("hear oneself: %w", err)
			}
			// A ping of two bytes comes between messages; it is answered.
			if at == 0 && n >= 2 && echo[0] == fin|pingFrame {
				if _, err := io.WriteString(c, frame(fin|pongFrame, "")); err != nil {
					return "", fmt.Errorf("pong: %w", err)
				}
				copy(echo, echo[2:n])
				n -= 2
			}
			at += n
		}
		s.tally.saw("noise", "messages of 32 KiB")
		_ = sleep.For(ctx, 10*time.Millisecond)
	}
	return "rounds", nil
}

// neverReads subscribes to the noise and does not read a byte. When the gateway has given it up, what it sends is
// reset sooner or later.
func (s *stage) neverReads(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("noise"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	for deadline := time.Now().Add(4 * patience); time.Now().Before(deadline); _ = sleep.For(ctx, 50*time.Millisecond) {
		if ctx.Err() != nil {
			return "still there at the end", nil
		}
		if _, err := io.WriteString(c, frame(fin|pongFrame, "")); err != nil {
			return "dropped", nil
		}
	}
	return "", fmt.Errorf("still connected after %v without reading", 4*patience)
}

// halfOpen is a peer whose network is gone: it answers nothing. It reads to see when it was found.
func (s *stage) halfOpen(ctx context.Context) (string, error) {
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

// Frames that must not be, and the close codes for them.
type bad struct {
	frames string
	codes  [2]byte
}

var tooLarge = []bad{
	{"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", [2]byte{0x03, 0xf1}},
	{frame(binaryMessage, strings.Repeat("x", messageLimit)) + frame(fin, "x"), [2]byte{0x03, 0xf1}},
	{frame(fin|textMessage, strings.Repeat("x", 3*messageLimit)), [2]byte{0x03, 0xf1}},
	{frame(fin|compressed|binaryMessage, zeros(1<<20)), [2]byte{0x03, 0xf1}},
}

var malformed = []bad{
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

// zeros are so many, compressed.
func zeros(n int) string {
	var b bytes.Buffer
	// Writing to memory at a level that is there cannot fail.
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, n))
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// broken sends one of these, and is closed as it should be.
func (s *stage) broken(ctx context.Context, all []bad) (string, error) {
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
	// A ping may have come first.
	answer = []byte(strings.TrimPrefix(string(answer), "\x89\x00"))
	if len(answer) < 4 || answer[0] != fin|closeFrame || [2]byte(answer[2:4]) != b.codes {
		return "", fmt.Errorf("after %.20q the gateway says %.20q", b.frames, answer)
	}
	return "closed", nil
}

// abortsHandshake goes somewhere inside a handshake: politely, with a reset, or right after it.
func (s *stage) abortsHandshake(ctx context.Context) (string, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	whole := handshake(channel("aborted"))
	// The gateway may have hung up already: errors are part of it.
	_, _ = io.WriteString(c, whole[:rand.N(len(whole)+1)])
	switch rand.N(3) {
	case 0:
		_ = c.SetLinger(0)
		return "reset", nil
	case 1:
		_ = c.CloseWrite()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c.in); errors.Is(err, os.ErrDeadlineExceeded) {
			return "", fmt.Errorf("half closed, and not let go after %v", patience)
		}
		return "half closed", nil
	}
	return "closed", nil
}

// resets goes without a word in the middle of a conversation.
func (s *stage) resets(ctx context.Context) (string, error) {
	c, err := s.open(ctx, channel("lobby"))
	if err != nil {
		return "", err
	}
	_, _ = io.WriteString(c, frame(fin|textMessage, "about to")+frame(textMessage, "never whole"))
	_ = c.SetLinger(0)
	_ = c.Close()
	return "reset", nil
}

// flood are hundreds that come at once and go at once.
func (s *stage) flood(ctx context.Context) (string, error) {
	var coming sync.WaitGroup
	for range 200 {
		coming.Go(func() {
			c, err := s.open(ctx, channel("flood"))
			s.note(ctx, "flood", "handshakes", err)
			if err == nil {
				_ = c.SetLinger(0)
				_ = c.Close()
			}
		})
	}
	coming.Wait()
	return "waves", nil
}

// raw is a TCP connection that speaks as an actor says.
type raw struct {
	*net.TCPConn
	in *bufio.Reader
}

// narrow keeps the system from buffering megabytes for who does not read.
const narrow = 8 << 10

func (s *stage) connect(ctx context.Context) (*raw, error) {
	d := net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF,
				narrow)
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
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
		strings.Join(append(lines, "", ""), "\r\n")
}

// open takes the handshake.
func (s *stage) open(ctx context.Context, path string, lines ...string) (*raw, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
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
	// What an actor does lasts as long as its round.
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

// frame is a client's frame under a mask of zeros.
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
