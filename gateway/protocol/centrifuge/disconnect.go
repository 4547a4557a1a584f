package centrifuge

import "github.com/wsfleet/wsfleet/gateway/transport"

// The functions below return the protocol's disconnect codes as close frames. SDKs reconnect after 3000 to 3499 and
// 4000 to 4499, with a growing delay, and stay away after 3500 to 3999. Codes from 4000 on are a server's own.

func disconnectShutdown() transport.Close { return transport.Close{Code: 3001, Reason: "shutdown"} }
func disconnectServerError() transport.Close {
	return transport.Close{Code: 3004, Reason: "internal server error"}
}
func disconnectExpired() transport.Close {
	return transport.Close{Code: 3005, Reason: "connection expired"}
}
func disconnectSlow() transport.Close { return transport.Close{Code: 3008, Reason: "slow"} }
func disconnectInsufficientState() transport.Close {
	return transport.Close{Code: 3010, Reason: "insufficient state"}
}
func disconnectRate() transport.Close   { return transport.Close{Code: 4008, Reason: "message rate"} }
func disconnectNoPong() transport.Close { return transport.Close{Code: 3012, Reason: "no pong"} }
func disconnectInvalidToken() transport.Close {
	return transport.Close{Code: 3500, Reason: "invalid token"}
}
func disconnectBadRequest() transport.Close {
	return transport.Close{Code: 3501, Reason: "bad request"}
}
func disconnectStale() transport.Close { return transport.Close{Code: 3502, Reason: "stale"} }

// disconnectReplaced ends a connection that makes room for a newer one of its user. SDKs stay away, so that two pages
// do not take each other's place for ever.
func disconnectReplaced() transport.Close {
	return transport.Close{Code: 3504, Reason: "connection limit"}
}

// disconnectConnectionLimit refuses a user's connection until another one ends, which may be of a client that is gone:
// SDKs come back, later each time.
func disconnectConnectionLimit() transport.Close {
	return transport.Close{Code: 4009, Reason: "connection limit"}
}
func disconnectChannelLimit() transport.Close {
	return transport.Close{Code: 3505, Reason: "channel limit"}
}

// disconnectTooBig is that of RFC 6455 for a message that is too big, because a command is one to clients.
func disconnectTooBig() transport.Close {
	return transport.Close{Code: transport.CodeTooBig, Reason: "command is larger than the gateway's limit"}
}

// Codes of unsubscribe pushes: SDKs stay unsubscribed below 2500, and subscribe again from there on.
const (
	unsubscribeServer            = 2000
	unsubscribeInsufficientState = 2500
	unsubscribeExpired           = 2501
)
