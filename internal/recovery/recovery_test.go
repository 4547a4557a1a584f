package recovery_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

// logOf returns what Attr logs of the panic of bug.
func logOf(bug func()) (log string) {
	var b strings.Builder
	defer func() {
		slog.New(slog.NewTextHandler(&b, nil)).Error("a bug", recovery.Attr(recover()))
		log = b.String()
	}()
	bug()
	return ""
}

func TestAttrHidesTheValue(t *testing.T) {
	const secret = "5ecre7"
	index := len(secret)
	for name, c := range map[string]struct {
		bug  func()
		want []string
	}{
		"text":  {func() { panic(secret) }, []string{"panic.type=string "}},
		"bytes": {func() { panic([]byte(secret)) }, []string{`panic.type=[]uint8 `}},
		"error": {func() { panic(errors.New(secret)) }, []string{"panic.type=*errors.errorString "}},
		"index": {func() { _ = []int{}[index] },
			[]string{"panic.type=runtime.boundsError ", "index out of range [6] with length 0"}},
		"nil pointer":    {func() { _ = *(*int)(nil) }, []string{"nil pointer dereference"}},
		"type assertion": {func() { _ = any(secret).(fmt.Stringer) }, []string{"string is not fmt.Stringer"}},
		"of something wrong": {func() { panic(fmt.Errorf("%s: %w", secret, failed(func() { _ = []int{}[index] }))) },
			[]string{"panic.type=*fmt.wrapError "}},
	} {
		t.Run(name, func(t *testing.T) {
			log := logOf(c.bug)
			require.Contains(t, log, "goroutine")
			require.Contains(t, log, "recovery_test.go", "the stack")
			require.NotContains(t, log, secret)
			require.NotContains(t, log, "53 101 99")
			for _, part := range c.want {
				require.Contains(t, log, part)
			}
		})
	}
}

// failed returns the error that a bug panics with.
func failed(bug func()) (err error) {
	defer func() { err = recover().(error) }()
	bug()
	return nil
}
