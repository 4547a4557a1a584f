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

// Client talks to the private port of the gateway on this machine.
type Client struct {
	base     string
	tokenDir string
	http     http.Client
}

// NewClient returns a client for the gateway that was configured with these values. It asks no proxy
// of the environment: the token is for the gateway alone.
func NewClient(adminListen, tokenDir string) (*Client, error) {
	host, port, err := net.SplitHostPort(adminListen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", contract.KeyAdminListen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &Client{base: "http://" + net.JoinHostPort(host, port), tokenDir: tokenDir, http: http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}}, nil
}

// Fleet asks for the gateway's report.
func (c *Client) Fleet(ctx context.Context) (contract.GatewayReport, error) {
	return c.do(ctx, http.MethodGet, contract.PathFleet, nil)
}

// Drain starts a drain, or joins the one that is under way.
func (c *Client) Drain(ctx context.Context, r contract.DrainRequest) (contract.GatewayReport, error) {
	return c.do(ctx, http.MethodPost, contract.PathDrain, r)
}

func (c *Client) do(ctx context.Context, method, path string, body any) (contract.GatewayReport, error) {
	var report contract.GatewayReport
	var payload io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return report, fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return report, fmt.Errorf("make request: %w", err)
	}
	if c.tokenDir != "" {
		tokens, err := Tokens(c.tokenDir)
		if err != nil {
			return report, err
		}
		if len(tokens) == 0 {
			return report, fmt.Errorf("%s: %s holds no token", contract.KeyAdminTokenDir, c.tokenDir)
		}
		request.Header.Set("Authorization", "Bearer "+tokens[0])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return report, fmt.Errorf("ask the gateway: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return report, fmt.Errorf("read the gateway's answer: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return report, fmt.Errorf("the gateway answered %s: %s", response.Status, bytes.TrimSpace(content))
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return report, fmt.Errorf("read the gateway's report: %w", err)
	}
	return report, nil
}
