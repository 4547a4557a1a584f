package transport

// Close says how a connection is closed, as its close frame tells the client.
type Close struct {
	// Code is a close code of RFC 6455 section 7.4, or one of the protocol's own from 3000 on.
	Code int
	// Reason is cut to 123 bytes when it is sent.
	Reason string
}

// Close codes of RFC 6455 section 7.4.1 and the IANA registry that the gateway uses.
const (
	CodeNormal        = 1000
	CodeGoingAway     = 1001
	CodeProtocolError = 1002
	// CodeNoStatus stands for a close frame without a code. It is never sent.
	CodeNoStatus = 1005
	// CodeAbnormal stands for a connection that ended without a close frame. It is never sent.
	CodeAbnormal      = 1006
	CodeInvalidData   = 1007
	CodePolicy        = 1008
	CodeTooBig        = 1009
	CodeInternal      = 1011
	CodeRestart       = 1012
	CodeTryAgainLater = 1013
)

// Codes are the closes that one protocol uses for the transport's own decisions. They tell the protocol's
// clients whether to reconnect.
type Codes struct {
	// Slow closes a client that does not read what was sent to it.
	Slow Close
	// Rate closes a client that sends more messages than it may.
	Rate Close
	// NoPong closes a client that did not answer a ping.
	NoPong Close
	// Drain closes a client because the gateway drains.
	Drain Close
	// Memory closes a client that sends a large message while the gateway's memory for messages is used up.
	Memory Close
}
