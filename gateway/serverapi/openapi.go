package serverapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v3"
)

// documentPath is the path of the OpenAPI document. It needs no key.
const documentPath = "openapi.json"

// source is the OpenAPI document as YAML.
//
//go:embed openapi.yaml
var source []byte

// document returns the OpenAPI document as JSON. It panics when openapi.yaml is invalid, which the tests rule out.
func document() []byte {
	var tree any
	err := yaml.Unmarshal(source, &tree)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(tree); err == nil {
			return text
		}
	}
	panic(fmt.Sprintf("openapi.yaml: %v", err))
}

// serveDocument serves the OpenAPI document without a key.
func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeResponse(w, nil, &apiError{Code: codeBadRequest, Message: "use GET", status: http.StatusMethodNotAllowed})
		return
	}
	_, _ = w.Write(a.document)
}
