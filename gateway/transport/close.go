package transport

// Close is how a connection ends, as the peer is told.
type Close struct {
	Code   int
	Reason string
}

// Close codes of RFC 6455 and its registry that the transport itself uses.
const (
	CodeNormal        = 1000
	CodeProtocolError = 1002
	CodeNoStatus      = 1005
	CodeAbnormal      = 1006
	CodeInvalidData   = 1007
	CodePolicy        = 1008
	CodeTooBig        = 1009
	CodeInternal      = 1011
	CodeRestart       = 1012
	CodeTryAgainLater = 1013
)

// Codes are the closes of one protocol for what the transport decides: its clients must understand
// whether to come back.
type Codes struct {
	Slow   Close
	Rate   Close
	NoPong Close
	Drain  Close
}
