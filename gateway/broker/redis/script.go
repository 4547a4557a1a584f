package redis

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

//go:embed scripts
var sources embed.FS

// tryAgainDelay is the delay after TRYAGAIN: the keys of a script are moving between two nodes of a Redis Cluster.
const tryAgainDelay = 20 * time.Millisecond

// script is a Lua script, which Redis runs as one step. The comment at the top of its file says which files it needs,
// what its keys and arguments are, and what it replies.
type script struct{ source, hash string }

type scripts struct {
	publish, history                          script
	join, leave, renew, sweep, members, stats script
	announce, withdraw, gateways              script
	take, drop, lookup, revoke                script
	occupy, vacate, expire                    script
}

func newScripts() scripts {
	return scripts{
		publish:  load("publish"),
		history:  load("history"),
		join:     load("join"),
		leave:    load("leave"),
		renew:    load("renew"),
		sweep:    load("sweep"),
		members:  load("members"),
		stats:    load("stats"),
		announce: load("announce"),
		withdraw: load("withdraw"),
		gateways: load("gateways"),
		take:     load("take"),
		drop:     load("drop"),
		lookup:   load("lookup"),
		occupy:   load("occupy"),
		vacate:   load("vacate"),
		expire:   load("expire"),
		revoke:   load("revoke"),
	}
}

var (
	// loadedAfter matches the line of a script that names the files that it is loaded after.
	loadedAfter = regexp.MustCompile(`(?m)^-- Loaded after: (.*)$`)
	luaFile     = regexp.MustCompile(`(\w+)\.lua`)
)

// load returns a script that consists of the files that it is loaded after, in their order, and its own. It panics when
// a file is missing or does not say what it is loaded after: the files are compiled in.
func load(name string) script {
	own := read(name)
	line := loadedAfter.FindStringSubmatch(own)
	if line == nil {
		panic("redis: script " + name + " does not say what it is loaded after")
	}
	var source string
	for _, file := range luaFile.FindAllStringSubmatch(line[1], -1) {
		source += read(file[1])
	}
	source += own
	return script{source: source, hash: redis.NewScript(source).Hash()}
}

// read returns the text of a file in scripts, and panics when there is none.
func read(name string) string {
	text, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(fmt.Sprintf("redis: script: %v", err))
	}
	return string(text)
}

// call runs a script and returns its reply, or ErrUnavailable. operation names the call in the error.
func (b *Broker) call(ctx context.Context, p *pipeline, operation string, s script, keys []string,
	args ...any) (any, error) {
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
			// Redis has not run it. EVAL makes Redis keep the script.
			command = append([]any{"eval", s.source}, command[2:]...)
		case !redis.HasErrorPrefix(err, "TRYAGAIN") || sleep.For(ctx, tryAgainDelay) != nil:
			return nil, unavailable(operation, err)
		}
	}
}

func unavailable(operation string, err error) error {
	return fmt.Errorf("%w: redis: %s: %w", broker.ErrUnavailable, operation, err)
}

// errReply is returned for a reply of another shape than the script's.
var errReply = errors.New("unexpected reply")

// list returns the items of a list, or errReply. length is the number of items; a negative one means any.
func list(reply any, length int) ([]any, error) {
	items, ok := reply.([]any)
	if !ok || length >= 0 && len(items) != length {
		return nil, fmt.Errorf("redis: %w", errReply)
	}
	return items, nil
}

// texts returns the items of a list of strings, or errReply.
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

// byName returns the values by name of a list of names and values in turn, or errReply.
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
