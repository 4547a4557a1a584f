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

// guard lets through whoever knows a token, or, when no tokens are configured, whoever is on this
// machine.
func (p *port) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.TokenDir == "" {
			if !loopback(r.RemoteAddr) || !named(r.Host) {
				refuse(w, http.StatusForbidden, "only this machine may ask, by address or as localhost: set admin-token-dir and send one of its tokens to ask otherwise")
				return
			}
			next(w, r)
			return
		}
		tokens, err := Tokens(p.TokenDir)
		if err != nil {
			p.Logger.Error("admin tokens unreadable: refusing", slog.Any("error", err))
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !known(tokens, given) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "send `Authorization: Bearer TOKEN` with a token of admin-token-dir")
			return
		}
		next(w, r)
	}
}

// Tokens reads the tokens of a directory, afresh each time so that a rotation needs no restart.
// Names that begin with a dot are the machinery of mounted Secrets.
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

// known compares with every token in a time that tells nothing about them.
func known(tokens []string, given string) bool {
	found := 0
	g := sha256.Sum256([]byte(given))
	for _, token := range tokens {
		t := sha256.Sum256([]byte(token))
		found |= subtle.ConstantTimeCompare(g[:], t[:])
	}
	return found == 1
}

// named reports whether the caller asked for an address or localhost. A web page whose own name leads
// to this machine would otherwise be this machine to the browser.
func named(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

func loopback(remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
