// Package fossil makes deltas in the format of the Fossil version control system
// (https://www.fossil-scm.org/home/doc/tip/www/delta_format.wiki), which SDKs of the Centrifuge protocol apply.
//
// Libraries for this format look for the longest match at each byte, which takes long for some data. A gateway makes
// deltas of what others write. So Create takes time in proportion to the data, whatever is in it, and finds somewhat
// less.
package fossil

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	// blockSize is the size of the parts of the origin that are looked for in the target. Shorter matches are not found.
	blockSize = 16
	// digits are those of the format's numbers, in base 64.
	digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
)

// Create returns a delta that makes target of origin. If target is UTF-8, so is the delta: it copies whole characters.
func Create(origin, target []byte) []byte {
	w := writer{target: target, delta: make([]byte, 0, len(target)/2+blockSize)}
	w.number(uint32(len(target)), '\n')
	blocks := newIndex(origin)
	for at := 0; at+blockSize <= len(target); {
		from, ok := blocks.find(target[at:])
		if !ok {
			at++
			continue
		}
		w.copy(extend(origin, target, match{from, at, blockSize}, w.written).aligned(target))
		at = w.written
	}
	w.literal(len(target))
	w.number(checksum(target), ';')
	return w.delta
}

// match is the same text in origin, from an offset on, and in target, at one.
type match struct{ from, at, length int }

// extend returns a match that is as long as it can be and begins at or after an offset of the target.
func extend(origin, target []byte, m match, minAt int) match {
	for m.from > 0 && m.at > minAt && origin[m.from-1] == target[m.at-1] {
		m = match{m.from - 1, m.at - 1, m.length + 1}
	}
	for m.from+m.length < len(origin) && m.at+m.length < len(target) &&
		origin[m.from+m.length] == target[m.at+m.length] {
		m.length++
	}
	return m
}

// aligned returns the match without the parts of characters at its ends. It takes no more from other data.
func (m match) aligned(target []byte) match {
	const longest = utf8.UTFMax - 1
	for n := 0; n < longest && !utf8.RuneStart(target[m.at]); n++ {
		m = match{m.from + 1, m.at + 1, m.length - 1}
	}
	for n := 0; n < longest && m.at+m.length < len(target) && !utf8.RuneStart(target[m.at+m.length]); n++ {
		m.length--
	}
	return m
}

// index finds the blocks of an origin. Of blocks with the same hash it knows one.
type index struct {
	origin []byte
	// blocks holds the numbers of blocks, from 1, by their hash.
	blocks []uint32
	shift  int
}

func newIndex(origin []byte) index {
	size := bits.Len(uint(2 * (len(origin)/blockSize + 1)))
	i := index{origin, make([]uint32, 1<<size), 64 - size}
	for n := range len(origin) / blockSize {
		i.blocks[i.hash(origin[n*blockSize:])] = uint32(n + 1)
	}
	return i
}

// hash returns the hash of the first block of b.
func (i index) hash(b []byte) uint64 {
	const mix = 0x9E3779B97F4A7C15
	h := (binary.LittleEndian.Uint64(b) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[8:])*mix, 32)) * mix
	return h >> i.shift
}

// find returns the offset of a block of the origin that b begins with.
func (i index) find(b []byte) (offset int, ok bool) {
	n := int(i.blocks[i.hash(b)])
	if n == 0 {
		return 0, false
	}
	offset = (n - 1) * blockSize
	return offset, string(i.origin[offset:offset+blockSize]) == string(b[:blockSize])
}

// writer writes a delta.
type writer struct {
	target, delta []byte
	// written is how much of the target the delta makes.
	written int
}

// number writes a number and what stands behind it.
func (w *writer) number(n uint32, behind byte) {
	var b [6]byte
	i := len(b)
	for {
		i--
		b[i] = digits[n&63]
		if n >>= 6; n == 0 {
			break
		}
	}
	w.delta = append(append(w.delta, b[i:]...), behind)
}

// literal writes the target as it is, up to an offset.
func (w *writer) literal(end int) {
	if end > w.written {
		w.number(uint32(end-w.written), ':')
		w.delta = append(w.delta, w.target[w.written:end]...)
		w.written = end
	}
}

// copy writes a match, behind what comes before it.
func (w *writer) copy(m match) {
	w.literal(m.at)
	w.number(uint32(m.length), '@')
	w.number(uint32(m.from), ',')
	w.written = m.at + m.length
}

// checksum returns the sum of the target's words of 32 bits, big-endian, the last one padded with zeros.
func checksum(b []byte) (sum uint32) {
	for ; len(b) >= 4; b = b[4:] {
		sum += binary.BigEndian.Uint32(b)
	}
	var last [4]byte
	copy(last[:], b)
	return sum + binary.BigEndian.Uint32(last[:])
}
