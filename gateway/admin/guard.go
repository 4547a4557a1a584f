package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// guard returns a handler that calls next for callers that send a valid token. When no token directory is
// configured, it calls next for callers on loopback instead.
func (p *port) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.TokenDir == "" {
			if !isLoopback(r.RemoteAddr) || !isLocalName(r.Host) || isCrossSite(r) {
				refuse(w, http.StatusForbidden, "only callers on this machine are allowed, by address or as localhost: "+
					"to call from elsewhere, set admin-token-dir and send one of its tokens")
				return
			}
			next(w, r)
			return
		}
		tokens, err := Tokens(p.TokenDir)
		if err != nil {
			p.Logger.Error("admin tokens cannot be read: request refused", slog.Any("error", err))
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !matchesAny(tokens, given) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "send `Authorization: Bearer TOKEN` with a token of admin-token-dir")
			return
		}
		next(w, r)
	}
}

// requireTokens returns a handler that calls next on a port with tokens, and refuses every caller on a port without:
// each process on this machine could act in the name of the backend there.
func (p *port) requireTokens(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.TokenDir == "" {
			refuse(w, http.StatusForbidden, "this path needs a token: set admin-token-dir and send one of its tokens")
			return
		}
		next(w, r)
	}
}

// Tokens returns the tokens of a directory: the content of each file in it, without surrounding white space. It reads
// the files at every call, so a rotation needs no restart. It skips names that begin with a dot, which the kubelet
// uses inside mounted Secrets. It returns an error when the directory or one of the files cannot be read.
func Tokens(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("admin-token-dir: %w", err)
	}
	var tokens []string
	for _, entry := range entries {
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("admin-token-dir: %w", err)
		}
		if token := strings.TrimSpace(string(content)); token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens, nil
}

// matchesAny reports whether given is one of the tokens. Its time does not depend on their content.
func matchesAny(tokens []string, given string) bool {
	found := 0
	g := sha256.Sum256([]byte(given))
	for _, token := range tokens {
		t := sha256.Sum256([]byte(token))
		found |= subtle.ConstantTimeCompare(g[:], t[:])
	}
	return found == 1
}

// isLocalName reports whether the Host header of a request is an IP address or localhost. A web page whose own name
// resolves to this machine (DNS rebinding) sends its own name instead.
func isLocalName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

// isCrossSite reports whether a browser sends the request for a page of another site. Such a page cannot read the
// answer, but it could keep the gateway busy with profiles.
func isCrossSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// isLoopback reports whether the address of a peer, host:port, is on this machine.
func isLoopback(remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
