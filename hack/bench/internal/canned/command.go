package canned

import (
	"flag"
	"log/slog"
	"os"
	"time"
)

// Flags are the flags of every canned server.
type Flags struct {
	Listen       string
	PingInterval time.Duration
}

// ParseFlags parses the command line of a server, and exits when it cannot be used.
func ParseFlags() Flags {
	var f Flags
	flag.StringVar(&f.Listen, "listen", "127.0.0.1:0", "`address` to listen on")
	flag.DurationVar(&f.PingInterval, "ping-interval", 25*time.Second, "`time` between two pings of a client")
	flag.Parse()
	return f
}

// Serves logs the address of a server in the format of the gateway's log.
func Serves(name, address string) {
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Info(name+" serves", slog.String("listen", address))
}

// Fail prints an error and exits.
func Fail(err error) {
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Error("gave up", slog.Any("error", err))
	os.Exit(1)
}
