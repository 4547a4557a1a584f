package serverapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v3"
)

// documentPath is where the description is served, to anybody.
const documentPath = "openapi.json"

//go:embed openapi.yaml
var description []byte

// document is the description as JSON. It is part of the program, so that a bad one is a bug.
func document() []byte {
	var tree any
	err := yaml.Unmarshal(description, &tree)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(tree); err == nil {
			return text
		}
	}
	panic(fmt.Sprintf("openapi.yaml: %v", err))
}

// serveDocument needs no key: the description is public.
func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, nil, &fault{Code: codeBadRequest, Message: "use GET", status: http.StatusMethodNotAllowed})
		return
	}
	_, _ = w.Write(a.document)
}
