package main

import (
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

// startForward leaves a `kubectl port-forward` behind and writes its process id down.
func startForward(ctx context.Context, name string, k kubectl.Kubectl, listen, namespace, service string) (string, error) {
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
	// Not bound to ctx: it must outlive this process.
	cmd := k.In(namespace).Command(context.WithoutCancel(ctx), "port-forward", "--address", "127.0.0.1", "service/"+service, port+":80")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	if err := os.WriteFile(pidFile(name), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return "", err
	}
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err == nil {
			return address, conn.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", ctx.Err()
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
	// The id may belong to somebody else by now.
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err == nil && strings.Contains(string(cmdline), "port-forward") {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return os.Remove(pidFile(name))
}

func pidFile(name string) string { return filepath.Join("dist", name+".forward.pid") }

// freeAddress is listen, or another port of the same host when listen is taken.
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
