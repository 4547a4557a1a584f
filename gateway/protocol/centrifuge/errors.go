package centrifuge

import (
	"errors"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/session"
)

// Error codes of the protocol.
const (
	codeInternal          = 100
	codePermissionDenied  = 103
	codeAlreadySubscribed = 105
	codeLimitExceeded     = 106
	codeBadRequest        = 107
	codeNotAvailable      = 108
)

// replyError says what went wrong in the protocol's terms. What is not the client's doing is
// temporary: SDKs try to subscribe again by themselves, and report a failed publish to their caller.
func replyError(err error) *cf.Error {
	for _, known := range []struct {
		err  error
		code uint32
	}{
		{session.ErrChannelName, codeBadRequest},
		{session.ErrSubscribed, codeAlreadySubscribed},
		{session.ErrTooManyChannel, codeLimitExceeded},
		{session.ErrNotSubscribed, codePermissionDenied},
		{errNoData, codeBadRequest},
		{errNotAvailable, codeNotAvailable},
	} {
		if errors.Is(err, known.err) {
			return &cf.Error{Code: known.code, Message: err.Error()}
		}
	}
	return &cf.Error{Code: codeInternal, Message: "the gateway cannot reach its broker", Temporary: true}
}

var (
	errNoData       = errors.New("data is missing")
	errNotAvailable = errors.New("not available on this gateway")
)
