package admin

import (
	"io/fs"
	"net/http"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// contentPolicy lets the console's page use files of the private port and nothing else: no other host, no inline
// script or style, no frame around the page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveConsole returns the handler of contract.PathConsole. It serves the files of files and index.html for the
// directory itself. It lists no directories. The files hold no data and need no token; the requests of the page
// carry the token that the user types in.
func serveConsole(files fs.FS) http.Handler {
	server := http.StripPrefix(contract.PathConsole, http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, contract.PathConsole)
		if name != "" && !isFile(files, name) {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// A newer gateway may answer the next request.
		h.Set("Cache-Control", "no-cache")
		server.ServeHTTP(w, r)
	})
}

// isFile reports whether files has a regular file of that name.
func isFile(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}
