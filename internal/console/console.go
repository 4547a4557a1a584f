// Package console holds the static files of the gateway's web console. Package gateway hands them to
// gateway/admin, which serves them on the private port at /console/. The page shows the report of the gateway
// that serves it; a token that the user types in stays in the browser tab.
package console

import (
	"embed"
	"io/fs"
)

//go:embed static
var embedded embed.FS

// Files returns the console's files, index.html at the root.
func Files() fs.FS {
	files, err := fs.Sub(embedded, "static")
	if err != nil {
		// The name is a constant and valid, which is all that fs.Sub checks.
		panic(err)
	}
	return files
}
