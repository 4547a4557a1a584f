package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/gateway/tail"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// tailWriteTimeout is how long a reader may take no byte at all.
const tailWriteTimeout = 30 * time.Second

// tail answers GET contract.PathTail until the reader leaves or the stream ends.
func (p *port) tail(w http.ResponseWriter, r *http.Request) {
	channel, history, problem := readTailQuery(r.URL.Query())
	if problem != "" {
		refuse(w, http.StatusBadRequest, problem)
		return
	}
	stream, err := p.Tail.Open(r.Context(), channel, history)
	if err != nil {
		refuse(w, tailStatus(err), err.Error())
		return
	}
	defer stream.Close()
	// Those of the server are for requests and answers that end.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-ndjson")
	writeTail(r.Context(), stream, func(lines []byte) error {
		_ = control.SetWriteDeadline(time.Now().Add(tailWriteTimeout))
		if _, err := w.Write(lines); err != nil { //nolint:gosec // no browser takes lines of JSON for a page
			return err
		}
		return control.Flush()
	})
}

// readTailQuery returns the parameters of a request, or what is wrong with one and what to give.
func readTailQuery(params url.Values) (channel string, history int, problem string) {
	channel = params.Get(contract.ParamChannel)
	if channel == "" {
		return "", 0, contract.ParamChannel + ": give the name of a channel"
	}
	if v := params.Get(contract.ParamHistory); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > contract.MaxTailHistory {
			return "", 0, contract.ParamHistory + ": give a number from 0 to " + strconv.Itoa(contract.MaxTailHistory)
		}
		history = n
	}
	return channel, history, ""
}

// tailStatus returns the HTTP status of an error of Open.
func tailStatus(err error) int {
	for _, temporary := range []error{tail.ErrTooMany, tail.ErrEnding, tail.ErrUnavailable} {
		if errors.Is(err, temporary) {
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusBadRequest
}

// writeTail writes the lines of a stream until it ends, or ctx, or write returns an error. It writes an empty line when
// there was none for contract.TailInterval.
func writeTail(ctx context.Context, stream *tail.Stream, write func([]byte) error) {
	for {
		wait, cancel := context.WithTimeout(ctx, contract.TailInterval)
		lines, ended := stream.Next(wait)
		cancel()
		if ctx.Err() != nil {
			return
		}
		var text []byte
		for _, line := range lines {
			text = append(append(text, line...), '\n')
		}
		if ended != "" {
			last, _ := json.Marshal(contract.TailLine{Ended: ended}) // a string can always be encoded
			_ = write(append(append(text, last...), '\n'))
			return
		}
		if text == nil {
			text = []byte("\n")
		}
		if write(text) != nil {
			return
		}
	}
}
