package serverapi

import (
	"encoding/json"
	"io"
	"net/http"
)

func readAll(r io.ReadCloser) ([]byte, error) {
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

// write answers; a client that is gone cannot be told so.
func write(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
