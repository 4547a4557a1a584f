package fleetclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// maxSilence is how long a gateway may send nothing, not even an empty line.
const maxSilence = 3 * contract.TailInterval

// errSilent means that nothing has come from a gateway for maxSilence.
var errSilent = fmt.Errorf("it has been silent for %s", maxSilence)

// Tail follows a channel on one gateway, and calls each for every line. It begins with the latest publications of the
// channel's history, as many as history says. It blocks until ctx ends, and then returns nil. It returns the error of
// each, and one that names the gateway when that refuses, ends the stream or does not answer any more.
func (c *Client) Tail(
	ctx context.Context, of Gateways, pod, channel string, history int, each func(contract.TailLine) error,
) error {
	wait, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(requestTimeout, func() { cancel(errSilent) })
	defer watchdog.Stop()
	path := contract.PathTail + "?" + url.Values{
		contract.ParamChannel: {channel},
		contract.ParamHistory: {strconv.Itoa(history)},
	}.Encode()
	response, err := c.send(wait, pod, of.token, http.MethodGet, path, nil)
	if err == nil {
		defer func() { _ = response.Body.Close() }()
		err = readTail(pod, response, watchdog, each)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case context.Cause(wait) != nil:
		return fmt.Errorf("follow %s on gateway %s: %w", channel, pod, context.Cause(wait))
	}
	return err
}

// readTail reads the lines of a response, until one is the last or cannot be read.
func readTail(
	pod string, response *http.Response, watchdog *time.Timer, each func(contract.TailLine) error,
) error {
	if response.StatusCode != http.StatusOK {
		content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
		if err != nil {
			return fmt.Errorf("read the answer of gateway %s: %w", pod, err)
		}
		return refusal(pod, response.StatusCode, content)
	}
	// Empty lines are white space between the objects.
	lines := json.NewDecoder(watchedReader{response.Body, watchdog})
	for {
		var line contract.TailLine
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("gateway %s has ended: begin again, on another one", pod)
		case err != nil:
			return fmt.Errorf("read the answer of gateway %s: %w", pod, err)
		case line.Ended != "":
			return fmt.Errorf("gateway %s ended the stream: %s", pod, line.Ended)
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// watchedReader is a reader that lets a timer begin again whenever something comes.
type watchedReader struct {
	io.Reader
	watchdog *time.Timer
}

// Read implements io.Reader.
func (r watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.watchdog.Reset(maxSilence)
	return n, err //nolint:wrapcheck // as the reader's
}

// TailGateway returns the gateway on which to follow a channel, and whether it has the publications of the others too.
// It returns an error when no gateway answers.
func (c *Client) TailGateway(ctx context.Context, of Gateways) (pod string, hasAll bool, err error) {
	pods, unanswered, err := c.carriers(ctx, of)
	if err != nil {
		return "", false, err
	}
	return pods[0], len(pods)+len(unanswered) == 1, nil
}
