// Command probe runs in the pods of the smoke test. It is a server that answers with its own address and that of the
// client, and the clients for it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(what string, args []string) error {
	switch what {
	case "serve":
		return serve()
	case "get":
		return get(http.DefaultTransport, args[0], "")
	case "lookup":
		addresses, err := net.LookupHost(args[0])
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(addresses, " "))
		return nil
	case "apiserver":
		return askAPIServer(args[0])
	case "touch":
		return os.WriteFile(args[0], nil, 0o600)
	case "exists":
		_, err := os.Stat(args[0])
		return err
	case "say":
		// Write to the container's log, and not to the output of the exec that runs this.
		out, err := os.OpenFile("/proc/1/fd/1", os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, strings.Join(args, " "))
		return err
	}
	return fmt.Errorf("no command %q", what)
}

func serve() error {
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr:              ":8080",
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			fmt.Fprintf(w, "%s %s\n", name, host)
		}),
	}
	fmt.Println("serving as", name)
	context.AfterFunc(told, func() { fmt.Println("told to end"); _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func get(transport http.RoundTripper, url, token string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if token != "" {
		fmt.Println(response.StatusCode)
		return nil
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// askAPIServer asks as the pod's service account and prints the status.
func askAPIServer(path string) error {
	const mounted = "/var/run/secrets/kubernetes.io/serviceaccount/"
	token, err := os.ReadFile(mounted + "token")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(mounted + "ca.crt")
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return get(transport, "https://kubernetes.default.svc"+path, string(token))
}
