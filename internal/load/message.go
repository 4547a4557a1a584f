package load

import "bytes"

// message is a JSON object that begins with {"m":"RRRRPPPPPPPPSSSSSSSSTTTTTTTTTTTTTTTT","x":"…"}: the run, the
// publisher, its number (from 1) and its time, in hexadecimal. A reader finds them without decoding JSON, whatever
// the protocol puts around the object.
type message struct {
	run       uint16
	publisher uint32
	number    uint32
	// time is when the message was due, in nanoseconds of the clock that all processes share.
	time int64
}

const (
	messageHead     = `{"m":"`
	messageDigits   = 4 + 8 + 8 + 16
	messageMiddle   = `","x":"`
	messageTail     = `"}`
	minMessageBytes = len(messageHead) + messageDigits + len(messageMiddle) + len(messageTail)
)

// padding is text without repeated bytes, so that it does not compress better than real messages.
const padding = "The quick brown fox jumps over the lazy dog 0123456789 while many clients wait for it. "

// appendTo appends a message of size bytes to b. size is at least minMessageBytes.
func (m message) appendTo(b []byte, size int) []byte {
	b = append(b, messageHead...)
	b = appendHex(b, uint64(m.run), 4)
	b = appendHex(b, uint64(m.publisher), 8)
	b = appendHex(b, uint64(m.number), 8)
	b = appendHex(b, uint64(m.time), 16)
	b = append(b, messageMiddle...)
	for left := size - minMessageBytes; left > 0; left -= len(padding) {
		b = append(b, padding[:min(left, len(padding))]...)
	}
	return append(b, messageTail...)
}

// findMessage returns the first message in a frame or a line of one.
func findMessage(data []byte) (m message, found bool) {
	i := bytes.Index(data, []byte(messageHead))
	if i < 0 || len(data) < i+len(messageHead)+messageDigits {
		return m, false
	}
	digits := data[i+len(messageHead):][:messageDigits]
	run, ok1 := parseHex(digits[:4])
	publisher, ok2 := parseHex(digits[4:12])
	number, ok3 := parseHex(digits[12:20])
	at, ok4 := parseHex(digits[20:])
	if !ok1 || !ok2 || !ok3 || !ok4 || number == 0 {
		return m, false
	}
	return message{run: uint16(run), publisher: uint32(publisher), number: uint32(number), time: int64(at)}, true
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}

func parseHex(digits []byte) (v uint64, ok bool) {
	for _, d := range digits {
		switch {
		case d >= '0' && d <= '9':
			v = v<<4 | uint64(d-'0')
		case d >= 'a' && d <= 'f':
			v = v<<4 | uint64(d-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
