package serverapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"
)

// payload is the content of a message: data, any JSON value, or b64data, bytes in base64. Plain clients get data as its
// JSON text in a text frame, and b64data in a binary frame.
type payload struct {
	Data    json.RawMessage `json:"data"`
	B64Data *string         `json:"b64data"`
}

// empty reports whether there is no content, which some libraries send as null or as an empty string.
func (c *payload) empty() bool {
	return (c.Data == nil || string(c.Data) == "null") && (c.B64Data == nil || *c.B64Data == "")
}

// message returns the bytes of the message. It returns an *apiError when there are none or more than limit.
func (c *payload) message(limit int) (data []byte, binary bool, err error) {
	data, binary, err = c.bytes()
	if err == nil && len(data) > limit {
		return nil, false, messageTooLarge(limit)
	}
	return data, binary, err
}

// bytes returns the bytes of the field that is set. Some libraries send the other one as null or as an empty string. It
// returns an *apiError.
func (c *payload) bytes() ([]byte, bool, error) {
	encoded := c.B64Data != nil
	switch {
	case c.Data != nil && encoded && *c.B64Data == "":
		encoded = false
	case c.Data != nil && encoded && string(c.Data) != "null":
		return nil, false, invalidField("data", "give data or b64data, not both")
	case c.Data == nil && !encoded:
		return nil, false, &apiError{
			Code:    codeBadRequest,
			Message: "data is missing: give data, any JSON, or b64data, bytes in base64",
			status:  http.StatusOK,
		}
	}
	if !encoded {
		return c.Data, false, nil
	}
	data, err := base64.StdEncoding.DecodeString(*c.B64Data)
	if err != nil {
		return nil, false, &apiError{Code: codeBadRequest, Message: "b64data is not base64", status: http.StatusOK}
	}
	return data, true, nil
}

// asJSON returns a message as JSON. A message of a plain client that is not JSON becomes a string, as for Centrifuge
// clients.
func asJSON(text []byte) json.RawMessage {
	if utf8.Valid(text) && json.Valid(text) {
		return text
	}
	// A string can always be encoded.
	quoted, _ := json.Marshal(string(text))
	return quoted
}

// messageTooLarge returns the error for a message of more than limit bytes.
func messageTooLarge(limit int) *apiError {
	return &apiError{
		Code:    codeLimitExceeded,
		Message: fmt.Sprintf("message too large: max-message-bytes is %d", limit),
		status:  http.StatusOK,
	}
}

// bodyTooLarge returns the error for a body of more than limit bytes.
func (a *API) bodyTooLarge(limit int64) *apiError {
	return &apiError{
		Code: codeLimitExceeded,
		Message: fmt.Sprintf("the request body is larger than %d bytes; max-message-bytes is %d", limit,
			a.options.MaxMessageBytes),
		status: http.StatusRequestEntityTooLarge,
	}
}
