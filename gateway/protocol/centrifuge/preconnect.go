package centrifuge

import (
	"sync"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// preConnectBuffer holds back the frames for a client whose connect command is being answered: the server API finds the
// client already, and its server-side subscriptions deliver, but an SDK expects the answer first.
type preConnectBuffer struct {
	// maxBytes bounds the frames, except for one frame alone; 0 means no bound.
	maxBytes int

	// mu guards the fields below.
	mu       sync.Mutex
	frames   []transport.Frame
	bytes    int
	released bool
}

// maxPreConnectFrames is the maximum number of frames; a client that gets more is disconnected as a slow one.
const maxPreConnectFrames = 1000

// addResult is what add did with a frame.
type addResult int

const (
	// released: the buffer is not in use any more, and the caller sends the frame itself.
	released addResult = iota
	buffered
	overflowed
)

// add buffers a frame.
func (b *preConnectBuffer) add(f transport.Frame) addResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.released:
		return released
	case len(b.frames) == maxPreConnectFrames, b.maxBytes > 0 && b.bytes > 0 && b.bytes+f.Len() > b.maxBytes:
		return overflowed
	}
	b.frames = append(b.frames, f)
	b.bytes += f.Len()
	return buffered
}

// releasePreConnect sends the frames that were held back, in their order, behind what the caller has queued.
func (c *client) releasePreConnect() {
	b := c.preConnect.Load()
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.frames {
		c.Conn().Send(f)
	}
	b.frames, b.released = nil, true
	c.preConnect.Store(nil)
}
