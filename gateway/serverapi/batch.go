package serverapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// batchRequest leaves its commands encoded, so that a malformed one fails alone.
type batchRequest struct {
	Commands []json.RawMessage `json:"commands"`
	// Parallel means that the commands may run in any order.
	Parallel bool `json:"parallel"`
}

// batchReply has a reply for each command in their order: {METHOD: RESULT} or {"error": ERROR}.
type batchReply struct {
	Replies []map[string]any `json:"replies"`
}

// batch executes many commands. One that fails does not prevent the others. It returns an *apiError.
func (a *API) batch(ctx context.Context, r *batchRequest) (any, error) {
	switch n := len(r.Commands); {
	case r.Commands == nil:
		return nil, invalidField("commands", "is missing")
	case n > MaxBatchCommands:
		return nil, limitExceeded("commands", "%d are more than %d", n, MaxBatchCommands)
	}
	replies := make([]map[string]any, len(r.Commands))
	do := func(i int) { replies[i] = a.command(ctx, r.Commands[i]) }
	if r.Parallel {
		parallel(len(replies), do)
	} else {
		for i := range replies {
			do(i)
		}
	}
	return &batchReply{Replies: replies}, nil
}

// command executes one command of a batch and reports it to Options.Served.
func (a *API) command(ctx context.Context, raw json.RawMessage) map[string]any {
	start := time.Now()
	name, body, f := a.readCommand(raw)
	var result any
	if f == nil {
		result, f = a.guard(name, func() (any, error) {
			// A command that has not begun is certainly not executed.
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return a.methods[name](ctx, body)
		})
	}
	a.options.Served(name, f.outcome(), time.Since(start))
	if f != nil {
		return map[string]any{"error": f}
	}
	return map[string]any{name: result}
}

// readCommand decodes {METHOD: REQUEST}. Some libraries send the other methods as null.
func (a *API) readCommand(raw json.RawMessage) (name string, body []byte, f *apiError) {
	var fields map[string]json.RawMessage
	if err := decode(raw, &fields); err != nil {
		return methodUnknown, nil, malformed(`a command is not an object: give {"METHOD": {…}}`)
	}
	maps.DeleteFunc(fields, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	if len(fields) != 1 {
		return methodUnknown, nil, malformed("a command with %d methods: give exactly one", len(fields))
	}
	name = slices.Collect(maps.Keys(fields))[0]
	if _, known := a.methods[name]; !known || name == methodBatch {
		return methodUnknown, nil, a.notFound(http.StatusOK)
	}
	return name, fields[name], nil
}
