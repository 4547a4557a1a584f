package canned

import (
	"bytes"
	"strconv"
	"strings"
)

// commands answers a frame of the Centrifuge protocol with one or more commands, one per line. It does not answer
// unknown commands and answers to pings.
func (f *Function[F]) commands(c *Client[F], frame []byte) {
	var replies []byte
	flush := func() {
		if len(replies) > 0 {
			c.wire.Write(f.frame(OpText, replies))
			replies = nil
		}
	}
	for line := range bytes.SplitSeq(frame, []byte("\n")) {
		var id, name, request []byte
		for key, value := range members(line) {
			if string(key) == "id" {
				id = value
			} else {
				name, request = key, value
			}
		}
		switch string(name) {
		case "connect":
			replies = reply(replies, id, `"connect":{"client":"floor","version":"floor","ping":25,"pong":true}`)
			flush()
			f.joinPings(c)
		case "subscribe":
			answer := `"subscribe":{}`
			if member(request, "recover") != nil {
				answer = f.recovered
			}
			replies = reply(replies, id, answer)
			c.join(f.channel(false, string(bare(member(request, "channel")))), flush)
		case "unsubscribe":
			c.leaveGroup(f.channel(false, string(bare(member(request, "channel")))))
			replies = reply(replies, id, `"unsubscribe":{}`)
		case "publish":
			channel := bare(member(request, "channel"))
			push := bytes.Join(
				[][]byte{[]byte(`{"push":{"channel":"`), channel, []byte(`","pub":{"data":`), member(request, "data"),
					[]byte(`,` + publisher + `}}}`)},
				nil)
			f.channel(false, string(channel)).write(f.frame(OpText, push))
			replies = reply(replies, id, `"publish":{}`)
		}
	}
	flush()
}

// publisher is what a gateway tells subscribers of the client that has published.
const publisher = `"info":{"user":"","client":"00000000-0000-0000-0000-000000000000"}`

// reply appends an answer that is prebuilt except for the id.
func reply(replies, id []byte, answer string) []byte {
	if len(replies) > 0 {
		replies = append(replies, '\n')
	}
	replies = append(replies, `{"id":`...)
	if _, err := strconv.ParseUint(string(id), 10, 32); err != nil {
		id = []byte("0")
	}
	replies = append(replies, id...)
	replies = append(replies, ',')
	replies = append(replies, answer...)
	return append(replies, '}')
}

// The publications that a client of the benchmark missed.
const (
	missed      = 10
	missedBytes = 100
)

// recovered returns an answer with all missed publications.
func recovered() string {
	var b strings.Builder
	b.WriteString(`"subscribe":{"recoverable":true,"epoch":"floor","publications":[`)
	for n := range missed {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"data":"` + strings.Repeat("x", missedBytes-2) + `",` + publisher + `,"offset":` +
			strconv.Itoa(n+1) + `}`)
	}
	b.WriteString(`],"recovered":true,"offset":` + strconv.Itoa(missed) + `,"positioned":true,"was_recovering":true}`)
	return b.String()
}
