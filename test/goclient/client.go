// Package goclient calls a gateway's server API from Go with nothing but the standard library.
package goclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Client calls the server API of one fleet.
type Client struct {
	// URL is the URL of the API, for example https://ws.example.com/api.
	URL  string
	Key  string
	HTTP *http.Client
}

// Error is an error of the API.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// Temporary means that the same call may succeed later.
	Temporary bool `json:"temporary"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Call calls a method with a request that it encodes as JSON, and decodes the answer into result unless that is nil. It
// returns an *Error of the API, or an error when there is no answer in JSON.
func (c *Client) Call(ctx context.Context, method string, request, result any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-API-Key", c.Key)
	response, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error  *Error          `json:"error"`
		Result json.RawMessage `json:"result"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s answered %s without JSON: %w", method, response.Status, err)
	}
	switch {
	case answer.Error != nil:
		return answer.Error
	case result == nil:
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}
