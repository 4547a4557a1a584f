package centrifuge

import (
	"errors"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// maxBatchBytes is the size of replies from which they are sent in another frame.
const maxBatchBytes = 64 << 10

// replies gathers the replies to commands that are carried out one after the other. One goroutine uses it at a time.
type replies struct {
	client *client
	// atOnce schedules the write of each frame as it is queued. Otherwise flush writes them.
	atOnce bool
	// batch holds the replies of the next frame; nil means none. bytes is their size.
	batch cf.DataEncoder
	bytes int
}

// add adds a reply to the batch. It returns errEncode.
func (r *replies) add(reply *cf.Reply) error {
	b, err := r.client.encoding.reply(reply)
	if err != nil {
		return err
	}
	if r.batch == nil {
		r.batch = r.client.encoding.newBatch()
	}
	if err := r.batch.Encode(b); err != nil {
		return errors.Join(errEncode, err)
	}
	if r.bytes += len(b); r.bytes > maxBatchBytes {
		r.queue()
	}
	return nil
}

// queue queues the batch as one frame.
func (r *replies) queue() {
	if r.batch == nil {
		return
	}
	f := transport.NewFrame(r.client.encoding.kind, r.batch.FinishNoCopy())
	r.batch, r.bytes = nil, 0
	if r.atOnce {
		r.client.Conn().SendReply(f)
		return
	}
	r.client.Conn().QueueReply(f)
}

// flush sends what was added and queued.
func (r *replies) flush() {
	r.queue()
	if !r.atOnce {
		r.client.Conn().Flush()
	}
}
