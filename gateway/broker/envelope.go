package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The envelope of a publication is two bytes, version and flags, the info and tags if the flags say so, and the data.
// The version lets gateways of two releases notice each other during a rollout. A publication with a position has the
// position in front of the envelope, where the broker puts it when it appends to the stream.
const (
	envelopeVersion      = 2
	positionVersion      = 3
	envelopeHeader       = 2
	positionHeader       = 10
	flagBinary      byte = 1 << 0
	kindShift            = 1
	kindMask        byte = 3 << kindShift
	flagInfo        byte = 1 << 3
	flagTags        byte = 1 << 4
	flagsKnown           = flagBinary | kindMask | flagInfo | flagTags
)

// ErrEnvelope is returned for bytes that no gateway wrote, or a gateway of a newer version.
var ErrEnvelope = errors.New("unreadable envelope")

// Encode returns the envelope of a publication, without its position.
func Encode(p Publication) []byte {
	flags := byte(p.Kind) << kindShift
	if p.Binary {
		flags |= flagBinary
	}
	if p.Info != nil {
		flags |= flagInfo
	}
	if len(p.Tags) > 0 {
		flags |= flagTags
	}
	b := append(make([]byte, 0, Size(p)), envelopeVersion, flags)
	if p.Info != nil {
		b = AppendInfo(b, *p.Info)
	}
	if len(p.Tags) > 0 {
		b = appendTags(b, p.Tags)
	}
	return append(b, p.Data...)
}

// Decode decodes an envelope, with a position in front or not. The publication's Data is part of b. It returns
// ErrEnvelope.
func Decode(b []byte) (p Publication, err error) {
	if len(b) > 0 && b[0] == positionVersion {
		if p.Position, b, err = readPosition(b); err != nil {
			return Publication{}, err
		}
	}
	switch {
	case len(b) < envelopeHeader:
		return Publication{}, fmt.Errorf("%w: %d bytes are too short", ErrEnvelope, len(b))
	case b[0] != envelopeVersion:
		return Publication{}, fmt.Errorf("%w: version %d, want %d", ErrEnvelope, b[0], envelopeVersion)
	}
	flags := b[1]
	p.Kind, p.Binary, b = Kind(flags&kindMask>>kindShift), flags&flagBinary != 0, b[envelopeHeader:]
	if flags&^flagsKnown != 0 || p.Kind > KindLeave {
		return Publication{}, fmt.Errorf("%w: unknown flags %#x", ErrEnvelope, flags)
	}
	if flags&(flagInfo|flagTags) == 0 {
		p.Data = b
		return p, nil
	}
	r := reader{rest: b}
	if flags&flagInfo != 0 {
		p.Info = new(r.info())
	}
	if flags&flagTags != 0 {
		p.Tags = r.tags()
	}
	if r.short {
		return Publication{}, fmt.Errorf("%w: it ends too early", ErrEnvelope)
	}
	p.Data = r.rest
	return p, nil
}

func readPosition(b []byte) (Position, []byte, error) {
	if len(b) < positionHeader || len(b) < positionHeader+int(b[positionHeader-1]) {
		return Position{}, nil, fmt.Errorf("%w: %d bytes are too short for a position", ErrEnvelope, len(b))
	}
	end := positionHeader + int(b[positionHeader-1])
	return Position{Offset: binary.BigEndian.Uint64(b[1:]), Epoch: string(b[positionHeader:end])}, b[end:], nil
}

// AppendInfo appends an encoded ClientInfo.
func AppendInfo(b []byte, i ClientInfo) []byte {
	b = appendText(b, i.Client)
	b = appendText(b, i.User)
	b = appendText(b, i.ConnInfo)
	return appendText(b, i.ChanInfo)
}

// ReadInfo decodes what AppendInfo has appended, or returns ErrEnvelope.
func ReadInfo(b []byte) (ClientInfo, error) {
	r := reader{rest: b}
	i := r.info()
	if r.short || len(r.rest) > 0 {
		return ClientInfo{}, fmt.Errorf("%w: not a client's info", ErrEnvelope)
	}
	return i, nil
}

func appendTags(b []byte, tags map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(tags)))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		b = appendText(appendText(b, key), tags[key])
	}
	return b
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// reader decodes fields from the front of rest. short reports that rest was too short; then all fields are empty.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) number() uint64 {
	n, length := binary.Uvarint(r.rest)
	if length <= 0 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[length:]
	return n
}

// text returns nil for an empty text.
func (r *reader) text() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.short, r.rest = true, nil
	}
	if n == 0 || r.short {
		return nil
	}
	text := r.rest[:n:n]
	r.rest = r.rest[n:]
	return text
}

func (r *reader) info() ClientInfo {
	return ClientInfo{Client: string(r.text()), User: string(r.text()), ConnInfo: r.text(), ChanInfo: r.text()}
}

func (r *reader) tags() map[string]string {
	n := r.number()
	// No more than fit, so that a forged number costs no memory.
	tags := make(map[string]string, min(n, uint64(len(r.rest)/2)))
	for range n {
		if r.short {
			return nil
		}
		key := string(r.text())
		tags[key] = string(r.text())
	}
	return tags
}
