package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Limits of the client.
const (
	requestTimeout = 5 * time.Second
	maxAnswerBytes = 1 << 20
)

// Client calls the private port of the gateway on this machine.
type Client struct {
	base     string
	tokenDir string
	http     http.Client
}

// NewClient returns a client for the gateway that was configured with these values of admin-listen and
// admin-token-dir. The client ignores the proxies of the environment: no one but the gateway may see the token. It
// returns an error when adminListen is not host:port.
func NewClient(adminListen, tokenDir string) (*Client, error) {
	host, port, err := net.SplitHostPort(adminListen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", contract.KeyAdminListen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &Client{
		base:     "http://" + net.JoinHostPort(host, port),
		tokenDir: tokenDir,
		http:     http.Client{Timeout: requestTimeout, Transport: &http.Transport{}},
	}, nil
}

// Report returns the report of the gateway. It returns an error when the gateway does not answer or refuses the token.
func (c *Client) Report(ctx context.Context) (report contract.GatewayReport, err error) {
	return report, c.do(ctx, http.MethodGet, contract.PathFleet, nil, &report)
}

// Drain starts a drain, or joins the one that is under way, and returns the report of the gateway. It returns an error
// when the gateway does not answer or refuses.
func (c *Client) Drain(ctx context.Context, r contract.DrainRequest) (report contract.GatewayReport, err error) {
	return report, c.do(ctx, http.MethodPost, contract.PathDrain, r, &report)
}

// LogLevel returns the name of the gateway's log level. It returns an error when the gateway does not answer or refuses
// the token.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	var current contract.LogLevel
	err := c.do(ctx, http.MethodGet, contract.PathLogLevel, nil, &current)
	return current.Level, err
}

// SetLogLevel changes the gateway's log level and returns the name of the new one. It returns an error when the gateway
// does not answer or refuses the level.
func (c *Client) SetLogLevel(ctx context.Context, name string) (string, error) {
	var current contract.LogLevel
	err := c.do(ctx, http.MethodPut, contract.PathLogLevel, contract.LogLevel{Level: name}, &current)
	return current.Level, err
}

// do sends a request with body as JSON, unless body is nil, and decodes the answer into result.
func (c *Client) do(ctx context.Context, method, path string, body, result any) error {
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask the gateway: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the gateway answered %s: %s", response.Status, bytes.TrimSpace(content))
	}
	if err := json.Unmarshal(content, result); err != nil {
		return fmt.Errorf("decode the gateway's answer: %w", err)
	}
	return nil
}

// request builds a request with the first token of the token directory.
func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if c.tokenDir == "" {
		return request, nil
	}
	tokens, err := Tokens(c.tokenDir)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s: %s holds no token", contract.KeyAdminTokenDir, c.tokenDir)
	}
	request.Header.Set("Authorization", "Bearer "+tokens[0])
	return request, nil
}
