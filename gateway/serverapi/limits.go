package serverapi

// What one request may ask for. Messages have the gateway's own limit on top.
const (
	// MaxListBytes is how large the body of a batch or a broadcast may be.
	MaxListBytes = 1 << 20
	// MaxBatchCommands and MaxBroadcastChannels are how many of them one request may hold.
	MaxBatchCommands     = 1000
	MaxBroadcastChannels = 1000
	// MaxHistory is how many publications one request reads.
	MaxHistory = 10_000
	// DefaultConnections is how many connections are listed unless the request says it, MaxConnections
	// how many it may say.
	DefaultConnections = 100
	MaxConnections     = 1000

	MaxIdempotencyKeyBytes = 128
	MaxTags                = 16
	MaxTagKeyBytes         = 64
	MaxTagValueBytes       = 256
	// MaxReasonBytes is what a close frame has room for.
	MaxReasonBytes = 123

	// MinDisconnectCode to MaxDisconnectCode are the codes that an application may close with.
	MinDisconnectCode = 3000
	MaxDisconnectCode = 4999
)

// envelope is what a request may be larger than its data: names, tags, quotes.
const envelope = 7 << 10

// workers is how many commands of a parallel batch, or publications of a broadcast, are under way at
// once.
const workers = 16

// singleLimit is how large a body with one message may be; base64 takes a third more than its bytes.
func (o *Options) singleLimit() int64 { return int64(o.MaxMessageBytes)*4/3 + envelope }

// listLimit is how large a body with many of them may be: one of any size fits.
func (o *Options) listLimit() int64 { return max(MaxListBytes, o.singleLimit()) }
