package broker

import "math/bits"

// MemberOverhead is about how many bytes the answer to a client takes for each member besides its text.
const MemberOverhead = 32

// Size returns the length of what Encode returns. It counts where bytes are bounded.
func Size(p Publication) int {
	size := envelopeHeader + len(p.Data)
	if p.Info != nil {
		size += sizeOfInfo(*p.Info)
	}
	if len(p.Tags) > 0 {
		size += sizeOfNumber(len(p.Tags))
	}
	for key, value := range p.Tags {
		size += sizeOfText(len(key)) + sizeOfText(len(value))
	}
	return size
}

// SizeOfMember returns the bytes of a member that count where bytes are bounded. An answer contains the client ID
// twice.
func SizeOfMember(m ClientInfo) int { return len(m.Client) + sizeOfInfo(m) + MemberOverhead }

// sizeOfInfo returns how many bytes AppendInfo appends.
func sizeOfInfo(i ClientInfo) int {
	return sizeOfText(len(i.Client)) + sizeOfText(len(i.User)) + sizeOfText(len(i.ConnInfo)) + sizeOfText(len(i.ChanInfo))
}

func sizeOfText(length int) int { return sizeOfNumber(length) + length }

// sizeOfNumber returns the length of a varint, which has seven bits in each byte.
func sizeOfNumber(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }
