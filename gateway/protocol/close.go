package protocol

import (
	"errors"

	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// StandardCodes returns the close frames of a protocol that has no close codes of its own: those of RFC 6455, section
// 7.4.1, and of the IANA registry.
func StandardCodes() transport.Codes {
	policy := func(reason string) transport.Close {
		return transport.Close{Code: transport.CodePolicy, Reason: reason}
	}
	return transport.Codes{
		Slow:   policy("slow: messages came faster than they were read"),
		Rate:   policy("message rate: more messages per second than this gateway's message-rate"),
		NoPong: policy("no pong"),
		Drain:  transport.Close{Code: transport.CodeRestart, Reason: "service restart"},
		Memory: transport.Close{Code: transport.CodeTryAgainLater, Reason: "the gateway has no memory for large messages"},
	}
}

// CloseExpired returns the close frame of a connection whose token expired.
func CloseExpired() transport.Close {
	return transport.Close{Code: transport.CodePolicy, Reason: "token expired: connect with another"}
}

// CloseReplaced returns the close frame of a connection that makes room for a newer one of its user.
func CloseReplaced() transport.Close {
	return transport.Close{
		Code:   transport.CodePolicy,
		Reason: "connection limit: the user has connected elsewhere",
	}
}

// CloseFor returns the close frame for an error of Base.Join or of the session, for a protocol that has no way to
// answer an error.
func CloseFor(err error) transport.Close {
	if d, ok := errors.AsType[*hooks.Disconnect](err); ok {
		return transport.Close{Code: int(d.Code), Reason: d.Reason}
	}
	_, refused := errors.AsType[*hooks.Error](err)
	reason := ""
	switch {
	case errors.Is(err, registry.ErrTooManyConnections):
		// Another connection of the user may end soon: it may be of a client that is gone.
		const reason = "connection limit: the user has too many connections"
		return transport.Close{Code: transport.CodeTryAgainLater, Reason: reason}
	case errors.Is(err, session.ErrInvalidToken):
		reason = "the token was revoked: connect with another"
	case refused, errors.Is(err, session.ErrNotAllowed), errors.Is(err, session.ErrNotSubscribed):
		reason = "publishing to this channel is not allowed"
	default:
		return transport.Close{Code: transport.CodeTryAgainLater, Reason: "the gateway cannot reach its broker"}
	}
	return transport.Close{Code: transport.CodePolicy, Reason: reason}
}
