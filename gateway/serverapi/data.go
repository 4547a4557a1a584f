package serverapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"
)

// content is what a message holds: data, any JSON value, or b64data, bytes in base64. Plain clients
// get data as its JSON text in a text frame, and b64data as a binary frame.
type content struct {
	Data    json.RawMessage `json:"data"`
	B64Data *string         `json:"b64data"`
}

// message is the content's bytes.
func (c *content) message(limit int) (data []byte, binary bool, err error) {
	data, binary, err = c.bytes()
	if err == nil && len(data) > limit {
		return nil, false, messageTooLarge(limit)
	}
	return data, binary, err
}

// bytes reads whichever field is given. Libraries send the other one as null, or as an empty string.
func (c *content) bytes() ([]byte, bool, error) {
	encoded := c.B64Data != nil
	switch {
	case c.Data != nil && encoded && *c.B64Data == "":
		encoded = false
	case c.Data != nil && encoded && string(c.Data) != "null":
		return nil, false, wrong("data", "give data or b64data, not both")
	case c.Data == nil && !encoded:
		return nil, false, &fault{Code: codeBadRequest, Message: "data is missing: give data, any JSON, or b64data, bytes in base64", status: http.StatusOK}
	}
	if !encoded {
		return c.Data, false, nil
	}
	data, err := base64.StdEncoding.DecodeString(*c.B64Data)
	if err != nil {
		return nil, false, &fault{Code: codeBadRequest, Message: "b64data is not base64", status: http.StatusOK}
	}
	return data, true, nil
}

// asJSON is a message as a backend reads it. What plain clients sent need not be JSON; it is a string
// then, as Centrifuge clients get it.
func asJSON(text []byte) json.RawMessage {
	if utf8.Valid(text) && json.Valid(text) {
		return text
	}
	// A string always has JSON.
	quoted, _ := json.Marshal(string(text))
	return quoted
}

func messageTooLarge(limit int) *fault {
	return &fault{Code: codeLimitExceeded, Message: fmt.Sprintf("message too large: max-message-bytes is %d", limit), status: http.StatusOK}
}

func (a *API) bodyTooLarge(limit int64) *fault {
	return &fault{
		Code:    codeLimitExceeded,
		Message: fmt.Sprintf("the request body is larger than %d bytes; max-message-bytes is %d", limit, a.options.MaxMessageBytes),
		status:  http.StatusRequestEntityTooLarge,
	}
}
