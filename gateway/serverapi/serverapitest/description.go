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

// ReadDescription reads a document and checks that it is a good one, its examples too.
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

// Check holds an exchange against the description. What was answered must be described. A request that
// was done must be described as a good one, and one that could not be read must not.
func (d *Description) Check(r *http.Request, body []byte, status int, header http.Header, answer []byte) error {
	ctx := r.Context()
	again := r.Clone(ctx)
	again.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := d.router.FindRoute(again)
	if err != nil {
		return undescribed(status, answer)
	}
	request := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	bad := openapi3filter.ValidateRequest(ctx, request)
	switch {
	case status == http.StatusOK && !failed(answer) && bad != nil:
		return fmt.Errorf("done, but the description does not allow it: %w", bad)
	case status == http.StatusBadRequest && bad == nil && utf8.Valid(body) && json.Valid(body):
		return errors.New("the description allows what could not be read")
	}
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: status, Header: header, Options: request.Options}
	return openapi3filter.ValidateResponse(ctx, response.SetBodyBytes(answer))
}

// failed says whether an answer has an error, or a batch one among its replies.
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

// undescribed is for paths and HTTP methods that are not in the document: they are refused.
func undescribed(status int, answer []byte) error {
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	if !refused || !failed(answer) {
		return fmt.Errorf("answered %d, and is not described", status)
	}
	return nil
}

// RoundTrip makes of a description an http.RoundTripper that fails where Check does.
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
