package serverapi

// The limits of one request. Options.MaxMessageBytes limits messages.
const (
	// MaxListBytes is the maximum size of the body of a batch or a broadcast.
	MaxListBytes = 1 << 20
	// MaxBatchCommands is the maximum number of commands in a batch.
	MaxBatchCommands = 1000
	// MaxBroadcastChannels is the maximum number of channels in a broadcast.
	MaxBroadcastChannels = 1000
	// MaxHistory is the maximum number of publications that one request reads.
	MaxHistory = 10_000
	// DefaultConnections is the maximum number of connections in a list unless the request sets it.
	DefaultConnections = 100
	// MaxConnections is the maximum number of connections that a request can set.
	MaxConnections = 1000

	MaxIdempotencyKeyBytes = 128
	MaxTags                = 16
	MaxTagKeyBytes         = 64
	MaxTagValueBytes       = 256
	// MaxReasonBytes is the room for a reason in a close frame (RFC 6455, section 5.5).
	MaxReasonBytes = 123

	// MinDisconnectCode and MaxDisconnectCode are the range of close codes that an application may use (RFC 6455, section
	// 7.4.2).
	MinDisconnectCode = 3000
	MaxDisconnectCode = 4999
)

// bodyOverhead is how much larger than its message a body may be: names, tags and quotes.
const bodyOverhead = 7 << 10

// maxConcurrent is the maximum number of commands of a parallel batch, or publications of a broadcast, that run at the
// same time.
const maxConcurrent = 16

// singleLimit returns the maximum size of a body with one message. Base64 takes a third more than its bytes.
func (o *Options) singleLimit() int64 { return int64(o.MaxMessageBytes)*4/3 + bodyOverhead }

// listLimit returns the maximum size of a body with many messages. One message of the maximum size fits.
func (o *Options) listLimit() int64 { return max(MaxListBytes, o.singleLimit()) }
