package redis

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

//go:embed scripts
var sources embed.FS

// tryAgainPause is how long to wait while the keys of a script are under way between two nodes.
const tryAgainPause = 20 * time.Millisecond

// script is what Redis runs as one step. Each says what its keys and arguments are.
type script struct{ source, hash string }

type scripts struct {
	publish, history                          script
	join, leave, renew, sweep, members, stats script
	announce, withdraw, gateways              script
	take, drop, holders, revoke               script
	occupy, vacate, lapse                     script
}

func newScripts() scripts {
	return scripts{
		publish: load("position", "publish"), history: load("position", "history"),
		join: load("presence", "join"), leave: load("presence", "leave"), renew: load("presence", "renew"),
		sweep: load("presence", "sweep"), members: load("presence", "members"), stats: load("presence", "stats"),
		announce: load("directory", "announce"), withdraw: load("withdraw"), gateways: load("directory", "gateways"),
		take: load("directory", "sets", "take"), drop: load("directory", "sets", "drop"), holders: load("directory", "holders"),
		occupy: load("directory", "sets", "occupied", "occupy"), vacate: load("directory", "sets", "occupied", "vacate"), lapse: load("directory", "lapse"),
		revoke: load("revoke"),
	}
}

// load makes a script of files that follow each other.
func load(names ...string) script {
	var source string
	for _, name := range names {
		text, err := sources.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			panic(fmt.Sprintf("a script that is compiled in: %v", err))
		}
		source += string(text)
	}
	return script{source: source, hash: redis.NewScript(source).Hash()}
}

// call runs a script. Its reply is nil when the script returns nothing.
func (b *Broker) call(ctx context.Context, p *pipeline, what string, s script, keys []string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	command := append(make([]any, 0, 3+len(keys)+len(args)), "evalsha", s.hash, len(keys))
	for _, key := range keys {
		command = append(command, key)
	}
	command = append(command, args...)
	for {
		cmd := redis.NewCmd(ctx, command...)
		err := p.send(ctx, cmd)
		switch {
		case err == nil:
			return cmd.Val(), nil
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			// Redis has not run it, and remembers the script from now on.
			command = append([]any{"eval", s.source}, command[2:]...)
		case !redis.HasErrorPrefix(err, "TRYAGAIN") || sleep.For(ctx, tryAgainPause) != nil:
			return nil, unavailable(what, err)
		}
	}
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: redis: %s: %w", broker.ErrUnavailable, what, err)
}

// errReply is a reply that no script of ours gives.
var errReply = errors.New("an answer that cannot be")

// list takes a reply, or a part of one, apart: a list of so many, or of any number when that is negative.
func list(reply any, length int) ([]any, error) {
	items, ok := reply.([]any)
	if !ok || length >= 0 && len(items) != length {
		return nil, fmt.Errorf("redis: %w", errReply)
	}
	return items, nil
}

// texts are a list of texts.
func texts(reply any) ([]string, error) {
	items, err := list(reply, -1)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("redis: %w", errReply)
		}
		out = append(out, text)
	}
	return out, nil
}

// byName are names and values in turn.
func byName(reply any) (map[string]string, error) {
	pairs, err := texts(reply)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		out[pair[0]] = pair[len(pair)-1]
	}
	return out, nil
}

func number(reply any) int {
	n, _ := reply.(int64)
	return int(n)
}

func text(reply any) string {
	s, _ := reply.(string)
	return s
}
