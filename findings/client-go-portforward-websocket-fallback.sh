#!/usr/bin/env bash
# k8s.io/client-go v0.37.2, tools/portforward: the dialer that falls back from a WebSocket to SPDY does not fall back when
# it is told to by k8s.io/apimachinery/pkg/util/httpstream, whose types its functions have.
#
# Guess: NewFallbackDialer takes httpstream.Dialers of apimachinery, so a failed upgrade is an error for which
# httpstream.IsUpgradeFailure of apimachinery returns true, as with v0.34.4, and the second dialer is tried.
#
# Seen: with v0.37.2 the dialer of NewSPDYOverWebsocketDialer returns an UpgradeFailureError of k8s.io/streaming, which
# apimachinery's function does not recognise. The program compiles as before, and port-forwards fail behind a proxy, or
# on an API server, that lets no WebSocket through. k8s.io/streaming/pkg/httpstream.IsUpgradeFailure recognises it.
#
# Output seen:
#   v0.34.4: upgrade failure for apimachinery: true, second dialer tried: true
#   v0.37.2: upgrade failure for apimachinery: false, second dialer tried: false
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
cat >main.go.txt <<'GO'
package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
)

type second struct{ tried bool }

func (s *second) Dial(...string) (httpstream.Connection, string, error) {
	s.tried = true
	return nil, "", errors.New("the second dialer")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	// A server, or a proxy before it, that lets no WebSocket through.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no WebSockets here", http.StatusForbidden)
	}))
	defer server.Close()
	target, err := url.Parse(server.URL + "/api/v1/namespaces/default/pods/web/portforward")
	check(err)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialer(target, &rest.Config{Host: server.URL})
	check(err)
	_, _, err = overWebSocket.Dial(portforward.PortForwardProtocolV1Name)
	overSPDY := &second{}
	dialer := portforward.NewFallbackDialer(overWebSocket, overSPDY, httpstream.IsUpgradeFailure)
	_, _, _ = dialer.Dial(portforward.PortForwardProtocolV1Name)
	fmt.Printf("upgrade failure for apimachinery: %t, second dialer tried: %t\n", httpstream.IsUpgradeFailure(err),
		overSPDY.tried)
}
GO
seen=
for version in v0.34.4 v0.37.2; do
  mkdir "$version"
  cp main.go.txt "$version/main.go"
  (
    cd "$version"
    go mod init finding
    go get "k8s.io/client-go@$version" "k8s.io/apimachinery@$version"
    go mod tidy
  ) >log 2>&1 || { cat log; exit 1; }
  seen+="$version: $(cd "$version" && go run .)"$'\n'
done
printf '%s' "$seen"
diff <(printf '%s' "$seen") - <<'WANT'
v0.34.4: upgrade failure for apimachinery: true, second dialer tried: true
v0.37.2: upgrade failure for apimachinery: false, second dialer tried: false
WANT
