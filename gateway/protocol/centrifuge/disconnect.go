package centrifuge

import "github.com/wsfleet/wsfleet/gateway/transport"

// Disconnect codes of the protocol. Clients come back after 3000 to 3499 and 4000 to 4499, later each
// time, and stay away after 3500 to 3999. Those from 4000 on are a server's own.
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
func disconnectConnectionLimit() transport.Close {
	return transport.Close{Code: 3504, Reason: "connection limit"}
}
func disconnectChannelLimit() transport.Close {
	return transport.Close{Code: 3505, Reason: "channel limit"}
}

// Codes of unsubscribe pushes: below 2500 the client stays away, from there on it subscribes again.
const (
	unsubscribeServer            = 2000
	unsubscribeInsufficientState = 2500
	unsubscribeExpired           = 2501
)
