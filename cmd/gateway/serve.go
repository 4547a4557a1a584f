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
	"github.com/wsfleet/wsfleet/gateway/heap"
	"github.com/wsfleet/wsfleet/internal/loglevel"
)

// serve runs a gateway until a signal has drained it. It returns an error when the configuration cannot be used, when
// the gateway cannot start, and when a second signal ended it before the drain was over.
func serve(ctx context.Context, flags *pflag.FlagSet) error {
	loaded, err := load(flags)
	if err != nil {
		return err
	}
	log, level := newLogger(loaded.Config)
	redis.LogTo(log)
	for _, warning := range loaded.Warnings {
		log.Warn(warning)
	}
	if loaded.File != "" {
		log.Info("configuration file read", slog.String("file", loaded.File))
	}
	g, err := gateway.New(ctx, loaded.Config, gateway.Options{
		Version:  releaseVersion(),
		Logger:   log,
		LogLevel: level,
	})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	signals, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go heap.Run(ctx)
	go handleSignals(ctx, signals, hangups, g, log, stop)
	if err := g.Run(ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("ended before the drain was over: %w", cause)
	}
	return nil
}

// handleSignals drains the gateway at the first signal and calls stop at the second. It returns when ctx ends. SIGHUP,
// with which other servers read their files again, changes nothing: without a handler it would end the process.
func handleSignals(
	ctx context.Context, signals, hangups <-chan os.Signal, g *gateway.Gateway, log *slog.Logger,
	stop context.CancelCauseFunc,
) {
	draining := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			log.Info("SIGHUP received: nothing to do; a changed certificate is read without it, other settings at the start")
		case s := <-signals:
			if draining {
				stop(fmt.Errorf("second signal: %v", s))
				return
			}
			draining = true
			log.Info("signal received: draining; a second one ends at once", slog.String("signal", s.String()))
			g.Terminate(s.String(), s == os.Interrupt) //nolint:contextcheck // the drain outlives a second signal
		}
	}
}

// newLogger returns the logger that a checked configuration asks for, and the variable that holds its level.
func newLogger(cfg config.Config) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	if configured, ok := loglevel.Parse(cfg.LogLevel); ok {
		level.Set(configured)
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), level
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o)), level
}
