// Package goclient calls a gateway's server API from Go with nothing but the standard library.
package goclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Client is for one fleet.
type Client struct {
	// URL is the API's, like https://ws.example.com/api.
	URL, Key string
	HTTP     *http.Client
}

// Error is what the API answered instead of a result.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// Temporary: the same call may succeed later.
	Temporary bool `json:"temporary"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Call calls a method. A result that nobody wants is nil.
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
