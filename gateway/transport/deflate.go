package transport

import (
	"bytes"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// permessage-deflate of RFC 7692, without context takeover.

const (
	// rsv1 marks a compressed message in the header of its first frame, RFC 7692 section 6.
	rsv1 = 0x40
	// minCompressLen is the length from which a frame is compressed. JSON of 128 bytes becomes a tenth
	// shorter, JSON of 256 bytes half as long.
	minCompressLen = 200
	// syncTail ends each compressed message. The sender removes it, section 7.2.1.
	syncTail = "\x00\x00\xff\xff"
	// finalBlock is an empty block that ends the stream, so that a cut message is recognised.
	finalBlock = "\x01\x00\x00\xff\xff"
	// deflateWindow is how many bytes back a message may refer.
	deflateWindow = 32 << 10
	// maxDeflateStreams limits how often a message may end its stream and begin another one. Each stream
	// costs a copy of the window, and hardly any client uses more than one.
	maxDeflateStreams = 8
)

// maxCompressedBytes returns the maximum number of bytes of a compressed message whose content has at
// most limit bytes. Content that cannot be compressed becomes a little longer.
func maxCompressedBytes(limit int) int { return limit + limit/8 + 16 }

// compressed returns the compressed form of the frame, or the frame itself if compression does not make
// it shorter. All receivers share the result of the first call. Two concurrent first calls may both
// compress.
func (f Frame) compressed() Frame {
	if f.encoded[0]&0x0F >= opClose || len(f.encoded) < minCompressLen {
		return f
	}
	if deflated := f.deflated.Load(); deflated != nil {
		return Frame{deflated}
	}
	f.deflated.CompareAndSwap(nil, f.deflate().payload)
	return Frame{f.deflated.Load()}
}

// deflate compresses the message of a frame, RFC 7692 section 7.2.1. It returns the frame itself when
// that does not make it shorter.
func (f Frame) deflate() Frame {
	message := f.Message()
	buffer := bytes.NewBuffer(make([]byte, 0, len(message)/2+len(syncTail)))
	// Writing to a buffer does not fail.
	_ = flate.StatelessDeflate(buffer, message, false, nil)
	body, hasTail := bytes.CutSuffix(buffer.Bytes(), []byte(syncTail))
	if !hasTail || len(body) >= len(message) {
		return f
	}
	shorter := encodeFrame(rsv1|f.encoded[0]&0x0F, body).InDropGroup(f.group)
	shorter.broadcast = f.broadcast
	return shorter
}

// Message returns the payload of the frame. The caller must not change it.
func (f Frame) Message() []byte {
	switch f.encoded[1] {
	case 126:
		return f.encoded[4:]
	case 127:
		return f.encoded[10:]
	}
	return f.encoded[2:]
}

// inflater decompresses one message at a time.
type inflater struct {
	in  bytes.Reader
	out io.ReadCloser
}

// inflaterPool holds the inflaters. A connection has none between messages.
var inflaterPool = sync.Pool{New: func() any {
	i := &inflater{}
	i.out = flate.NewReader(&i.in)
	return i
}}

// inflate decompresses a message, RFC 7692 section 7.2.2. The violation is not nil when the data is no
// valid stream, when the content has more than limit bytes, or when text is not UTF-8. inflate may
// append to data.
func inflate(kind Kind, data []byte, limit int) (content []byte, violation *Close) {
	i := inflaterPool.Get().(*inflater)
	defer inflaterPool.Put(i)
	content, err := i.inflate(data, limit)
	// The pool must not keep the message alive.
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

// inflate stops after the first byte beyond the limit; the content then has limit+1 bytes. It returns an
// error when data is no valid stream.
func (i *inflater) inflate(data []byte, limit int) ([]byte, error) {
	i.in.Reset(append(append(data, syncTail...), finalBlock...))
	content := make([]byte, 0, min(limit+1, 4*len(data)+bytes.MinRead))
	for range maxDeflateStreams {
		// A stream may end within a message. The next one refers to what this one wrote.
		window := content[max(0, len(content)-deflateWindow):]
		if err := i.out.(flate.Resetter).Reset(&i.in, window); err != nil {
			return nil, err //nolint:wrapcheck // callers only check that there is one
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
