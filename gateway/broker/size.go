package broker

import "math/bits"

// MemberOverhead is about how much the answer to a client takes for each member besides what it says.
const MemberOverhead = 32

// Size is how long Encode makes a publication: what counts of it where bytes are bounded.
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

// SizeOfMember is what counts of a member where bytes are bounded. The answer has its client twice.
func SizeOfMember(m ClientInfo) int { return len(m.Client) + sizeOfInfo(m) + MemberOverhead }

// sizeOfInfo is how long AppendInfo makes it.
func sizeOfInfo(i ClientInfo) int {
	return sizeOfText(len(i.Client)) + sizeOfText(len(i.User)) + sizeOfText(len(i.ConnInfo)) + sizeOfText(len(i.ChanInfo))
}

func sizeOfText(length int) int { return sizeOfNumber(length) + length }

// sizeOfNumber is how long a varint is: seven bits of it are in each byte.
func sizeOfNumber(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }
