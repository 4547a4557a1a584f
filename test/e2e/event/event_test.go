package event

import (
	"bytes"
	"testing"
)

func TestParseReadsWhatALogWrote(t *testing.T) {
	var b bytes.Buffer
	log := NewLog(&b)
	log.Add(Event{Kind: Opened, Client: 1, Node: "a"})
	log.Add(Event{Kind: Closed, Client: 1, Node: "a", Code: 1012, Reason: "service restart"})
	b.WriteString(`{"kind":"opened","cli`) // still being written
	events := Parse(b.String())
	if len(events) != 2 || events[1].Code != 1012 || events[1].Kind != Closed || events[0].At.IsZero() {
		t.Fatalf("got %+v", events)
	}
}
