package serverapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Description is the API's OpenAPI document.
type Description struct {
	*openapi3.T
	router routers.Router
}

// ReadDescription decodes and validates a document with its examples. It returns an error when the document is invalid.
func ReadDescription(document []byte) (*Description, error) {
	loader := openapi3.NewLoader()
	t, err := loader.LoadFromData(document)
	if err != nil {
		return nil, err
	}
	if err := t.Validate(loader.Context, openapi3.EnableExamplesValidation()); err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(t)
	return &Description{T: t, router: router}, err
}

// Check checks a request and its response against the document. It returns an error when the document does not allow
// the response, does not allow a request that was executed, or allows a request that could not be decoded.
func (d *Description) Check(r *http.Request, body []byte, status int, header http.Header, answer []byte) error {
	ctx := r.Context()
	copied := r.Clone(ctx)
	copied.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := d.router.FindRoute(copied)
	if err != nil {
		return undescribed(status, answer)
	}
	request := &openapi3filter.RequestValidationInput{
		Request:    copied,
		PathParams: params,
		Route:      route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
		},
	}
	bad := openapi3filter.ValidateRequest(ctx, request)
	switch {
	case status == http.StatusOK && !failed(answer) && bad != nil:
		return fmt.Errorf("done, but the description does not allow it: %w", bad)
	case request.Request.Header.Get("X-Centrifugo-Error-Mode") == "transport":
		// Then 400 is the status of errors that no description foresees too.
	case status == http.StatusBadRequest && bad == nil && utf8.Valid(body) && json.Valid(body):
		return errors.New("the description allows what could not be read")
	}
	response := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request,
		Status:                 status,
		Header:                 header,
		Options:                request.Options,
	}
	return openapi3filter.ValidateResponse(ctx, response.SetBodyBytes(answer))
}

// failed reports whether a response is an error or a batch with an error among its replies.
func failed(answer []byte) bool {
	var a struct {
		Error   json.RawMessage
		Replies []struct{ Error json.RawMessage }
	}
	if json.Unmarshal(answer, &a) != nil || a.Error != nil {
		return true
	}
	for _, r := range a.Replies {
		if r.Error != nil {
			return true
		}
	}
	return false
}

// undescribed returns an error unless a path or HTTP method that is not in the document was refused.
func undescribed(status int, answer []byte) error {
	var refused bool
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		refused = true
	}
	if !refused || !failed(answer) {
		return fmt.Errorf("answered %d, and is not described", status)
	}
	return nil
}

// RoundTrip implements http.RoundTripper. It returns the errors of http.DefaultTransport and of Check.
func (d *Description) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if err := d.Check(r, body, response.StatusCode, response.Header, answer); err != nil {
		return nil, err
	}
	return response, nil
}
