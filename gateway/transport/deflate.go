package transport

import (
	"bytes"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// permessage-deflate, RFC 7692, without context takeover.

const (
	// rsv1 marks a message as compressed.
	rsv1 = 0x40
	// leastDeflated is the length of a frame from which compression is worth its time: JSON of 128 bytes becomes a
	// tenth shorter, of 256 bytes half as long.
	leastDeflated = 200
	// syncTail ends every compressed message and is not sent, section 7.2.1.
	syncTail = "\x00\x00\xff\xff"
	// finalBlock is empty and ends the stream, so that the end of a message is told from a cut.
	finalBlock = "\x01\x00\x00\xff\xff"
	// deflateWindow is how far a message may refer back.
	deflateWindow = 32 << 10
	// mostStreams bounds how often a message may end its stream and begin another. Each costs a copy of
	// the window, and hardly anybody sends more than one.
	mostStreams = 8
)

// longestDeflated is what a compressed message may have on the wire: one at the limit that cannot be
// compressed has a little more than its content.
func longestDeflated(limit int) int { return limit + limit/8 + 16 }

// deflated is the frame as it goes to a peer that understands compression. It is made for the first
// receiver that wants it, and then it is there for all. Two who want it first at once may both make it.
func (f Frame) deflated() Frame {
	if f.wire[0]&0x0F >= opClose || len(f.wire) < leastDeflated {
		return f
	}
	if packed := f.packed.Load(); packed != nil {
		return Frame{packed}
	}
	f.packed.CompareAndSwap(nil, f.deflate().payload)
	return Frame{f.packed.Load()}
}

// deflate returns a frame as it is when it would not become shorter.
func (f Frame) deflate() Frame {
	message := f.message()
	packed := bytes.NewBuffer(make([]byte, 0, len(message)/2+len(syncTail)))
	// Writing to a buffer does not fail.
	_ = flate.StatelessDeflate(packed, message, false, nil)
	body, whole := bytes.CutSuffix(packed.Bytes(), []byte(syncTail))
	if !whole || len(body) >= len(message) {
		return f
	}
	shorter := encodeFrame(rsv1|f.wire[0]&0x0F, body).InDropGroup(f.stream)
	shorter.bulk = f.bulk
	return shorter
}

// message is what follows the header.
func (f Frame) message() []byte {
	switch f.wire[1] {
	case 126:
		return f.wire[4:]
	case 127:
		return f.wire[10:]
	}
	return f.wire[2:]
}

// inflater decompresses one message at a time.
type inflater struct {
	in  bytes.Reader
	out io.ReadCloser
}

// A connection holds none between messages.
var spareInflaters = sync.Pool{New: func() any {
	i := &inflater{}
	i.out = flate.NewReader(&i.in)
	return i
}}

// inflate decompresses a message whose content has at most limit bytes.
func inflate(kind Kind, data []byte, limit int) ([]byte, *Close) {
	i := spareInflaters.Get().(*inflater)
	defer spareInflaters.Put(i)
	content, err := i.inflate(data, limit)
	// Nothing of the message stays in the pool.
	i.in.Reset(nil)
	switch {
	case err != nil:
		return nil, &Close{CodeInvalidData, "compressed message is not in the deflate format"}
	case len(content) > limit:
		return nil, tooBig()
	case kind == Text && !utf8.Valid(content):
		return nil, notUTF8()
	}
	return content, nil
}

// inflate stops at the first byte beyond the limit, and returns it too.
func (i *inflater) inflate(data []byte, limit int) ([]byte, error) {
	i.in.Reset(append(append(data, syncTail...), finalBlock...))
	content := make([]byte, 0, min(limit+1, 4*len(data)+bytes.MinRead))
	for range mostStreams {
		// A stream may end within a message; the next one refers to what it wrote.
		window := content[max(0, len(content)-deflateWindow):]
		if err := i.out.(flate.Resetter).Reset(&i.in, window); err != nil {
			return nil, err //nolint:wrapcheck // only its being there counts
		}
		var err error
		for err == nil && len(content) <= limit {
			if len(content) == cap(content) {
				content = append(content, 0)[:len(content)]
			}
			var n int
			n, err = i.out.Read(content[len(content):min(cap(content), limit+1)])
			content = content[:len(content)+n]
		}
		switch {
		case len(content) > limit:
			return content, nil
		case err != io.EOF:
			return nil, err
		case i.in.Len() == 0:
			return content, nil
		}
	}
	return nil, io.ErrUnexpectedEOF
}
