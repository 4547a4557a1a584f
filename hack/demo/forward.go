package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wsfleet/wsfleet/test/kubectl"
)

// forwardTimeout bounds the time until a forward listens.
const forwardTimeout = 30 * time.Second

// startForward starts a `kubectl port-forward` that outlives this process, and writes its process id to a file.
func startForward(ctx context.Context, name string, k kubectl.Kubectl,
	listen, namespace, service string) (string, error) {
	if err := stopForward(name); err != nil {
		return "", err
	}
	address, err := freeAddress(ctx, listen)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	// The command is not bound to ctx, and logs to a file, because it outlives this process.
	cmd := k.In(namespace).Command(context.WithoutCancel(ctx), "port-forward", "--address", "127.0.0.1",
		"service/"+service, port+":80")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	log, err := os.Create(logFile(name))
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = os.WriteFile(pidFile(name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
	if err == nil {
		err = awaitForward(ctx, address, ended)
	}
	if err != nil {
		said, _ := os.ReadFile(logFile(name)) // the error is the news, with or without it
		_ = cmd.Process.Kill()                // it may have ended by itself
		return "", errors.Join(
			fmt.Errorf("kubectl port-forward to service/%s: %w\n%s", service, err, strings.TrimSpace(string(said))),
			stopForward(name))
	}
	return address, nil
}

// awaitForward waits until the forward listens. It returns an error when the forward ends before.
func awaitForward(ctx context.Context, address string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-ended:
			return fmt.Errorf("it has ended: %w", cmp.Or(err, errors.New("exit status 0")))
		case <-ctx.Done():
			return fmt.Errorf("it does not listen at %s: %w", address, ctx.Err())
		case <-again.C:
		}
	}
}

func stopForward(name string) error {
	content, err := os.ReadFile(pidFile(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("%s: %w", pidFile(name), err)
	}
	// The id may belong to another process by now.
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err == nil && strings.Contains(string(cmdline), "port-forward") {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	if err := os.Remove(logFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Remove(pidFile(name))
}

func pidFile(name string) string { return filepath.Join("dist", name+".forward.pid") }

func logFile(name string) string { return filepath.Join("dist", name+".forward.log") }

// freeAddress returns listen, or another port of the same host when listen is in use.
func freeAddress(ctx context.Context, listen string) (string, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--listen %q: must be HOST:PORT: %w", listen, err)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		if l, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	return l.Addr().String(), l.Close()
}
