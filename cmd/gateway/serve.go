package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/gateway/config"
)

// serve runs a gateway until it is drained, or until somebody insists.
func serve(ctx context.Context, flags *pflag.FlagSet) error {
	loaded, err := load(flags)
	if err != nil {
		return err
	}
	log := newLogger(loaded.Config)
	redis.LogTo(log)
	for _, warning := range loaded.Warnings {
		log.Warn(warning)
	}
	if loaded.File != "" {
		log.Info("configuration file read", slog.String("file", loaded.File))
	}
	g, err := gateway.New(ctx, loaded.Config, gateway.Options{Version: releaseVersion(), Logger: log})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	go obey(ctx, signals, g, log, stop)
	if err := g.Run(ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("ended before the drain was over: %w", cause)
	}
	return nil
}

// obey drains at the first signal and ends at the second.
func obey(ctx context.Context, signals <-chan os.Signal, g *gateway.Gateway, log *slog.Logger, stop context.CancelCauseFunc) {
	for asked := false; ; asked = true {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if asked {
				stop(fmt.Errorf("second signal: %v", s))
				return
			}
			log.Info("signal received: draining; a second one ends at once", slog.String("signal", s.String()))
			g.Terminate(s.String(), s == os.Interrupt)
		}
	}
}

// newLogger follows the configuration, which is checked already.
func newLogger(cfg config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}
