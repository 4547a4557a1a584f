package load

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// LiveResult is what happened to the clients of live.
type LiveResult struct {
	// Total is the sum over all groups, and over the whole run.
	Total LiveCounts `json:"total"`
	// Groups are the clients of --clients, and those of each --group.
	Groups []LiveGroup `json:"groups"`
	// Events are the intervals between events. The first one begins before all of them and has no label.
	Events []LiveEvent `json:"events"`
	// Clients are up to 100 clients whose messages did not all come once and in order, or that do not come back.
	Clients []ClientResult `json:"clients"`
	// AwayAtEnd is the number of clients that were away when the run ended and might have come back.
	AwayAtEnd int64 `json:"awayAtEnd"`
	// PublisherConnectionsLost is the number of connections that publishers lost, and SkippedMessages that of messages
	// that were due while no publisher was connected.
	PublisherConnectionsLost int64 `json:"publisherConnectionsLost"`
	SkippedMessages          int64 `json:"skippedMessages"`
}

// LiveGroup is what happened to the clients of a group.
type LiveGroup struct {
	Clients  int      `json:"clients"`
	Layer    string   `json:"layer"`
	Protocol Protocol `json:"protocol"`
	LiveCounts
	AwayAtEnd int64 `json:"awayAtEnd"`
}

// LiveEvent is what happened to all clients from an event to the next.
type LiveEvent struct {
	// Label is the event's line. Seconds is its time since the start.
	Label   string  `json:"label"`
	Seconds float64 `json:"seconds"`
	LiveCounts
	// Groups are the times away of each group, in the order of LiveResult.Groups.
	Groups []AwayTimes `json:"groups"`
}

// LiveCounts counts what happened to clients within some time. Returns and times away belong to when the client came
// back, missing messages to when they were sent.
type LiveCounts struct {
	ConnectionsLost         int64            `json:"connectionsLost"`
	ConnectionsLostByReason map[string]int64 `json:"connectionsLostByReason"`
	Returns                 int64            `json:"returns"`
	PeakReturnsPerSecond    int64            `json:"peakReturnsPerSecond"`
	// Refused counts attempts to come back that failed.
	Refused         int64            `json:"refused"`
	RefusedByReason map[string]int64 `json:"refusedByReason"`
	Away            AwayTimes        `json:"away"`
	// Gone counts clients whose layer does not come back any more.
	Gone int64 `json:"gone"`
	// Unrecovered counts returns with the server's answer that publications are missing.
	Unrecovered int64 `json:"unrecovered"`
	// Lost counts messages that recovering clients did not receive, FalselyRecovered those of them of which the server had
	// said that they are not missing.
	Lost             int64 `json:"lost"`
	FalselyRecovered int64 `json:"falselyRecovered"`
	// Missed counts messages that plain clients did not receive, which do not recover.
	Missed     int64 `json:"missed"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
}

// AwayTimes are percentiles of the times that clients were away, in seconds.
type AwayTimes struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// ClientResult is what happened to one client.
type ClientResult struct {
	// Client is the client's number, from 0.
	Client           int    `json:"client"`
	Group            string `json:"group"`
	Channel          string `json:"channel"`
	TimesAway        int64  `json:"timesAway"`
	Lost             int64  `json:"lost"`
	FalselyRecovered int64  `json:"falselyRecovered"`
	Missed           int64  `json:"missed"`
	Duplicated       int64  `json:"duplicated"`
	Reordered        int64  `json:"reordered"`
	Gone             bool   `json:"gone"`
	AwayAtEnd        bool   `json:"awayAtEnd"`
}

// maxClients is the maximum number of clients in a result.
const maxClients = 100

// worstClients returns up to maxClients of the clients that something happened to that should not, the worst first.
// That a plain client misses what was sent while it was away is as it should be.
func worstClients(all []ClientResult) []ClientResult {
	mistakes := func(c ClientResult) int64 { return c.Lost + c.Duplicated + c.Reordered }
	all = slices.DeleteFunc(all, func(c ClientResult) bool { return mistakes(c) == 0 && !c.Gone && !c.AwayAtEnd })
	slices.SortFunc(all, func(a, b ClientResult) int {
		return cmp.Or(cmp.Compare(mistakes(b), mistakes(a)), cmp.Compare(a.Client, b.Client))
	})
	return all[:min(len(all), maxClients)]
}

// liveSum adds up counts of groups, intervals and workers.
type liveSum struct {
	counts    LiveCounts
	away      []time.Duration
	perSecond map[int64]int64
}

func newLiveSum() *liveSum {
	return &liveSum{
		counts: LiveCounts{
			ConnectionsLostByReason: map[string]int64{},
			RefusedByReason:         map[string]int64{},
		},
		perSecond: map[int64]int64{},
	}
}

// add adds the counts of a group in an interval.
func (s *liveSum) add(c GroupCounts) {
	to := &s.counts
	maps.Copy(to.ConnectionsLostByReason, added(to.ConnectionsLostByReason, c.ConnectionsLost))
	maps.Copy(to.RefusedByReason, added(to.RefusedByReason, c.Refused))
	for second, n := range c.ReturnsPerSecond {
		s.perSecond[second] += n
	}
	s.away = append(s.away, c.Away...)
	to.Unrecovered += c.Unrecovered
	to.Gone += c.Gone
	to.Duplicated += c.Duplicated
	to.Reordered += c.Reordered
}

// addLoss adds the missing messages of a group.
func (s *liveSum) addLoss(l Loss, plain bool) {
	if plain {
		s.counts.Missed += l.Missing
		return
	}
	s.counts.Lost += l.Missing
	s.counts.FalselyRecovered += l.FalselyRecovered
}

// result returns the sum with its peak and its percentiles.
func (s *liveSum) result() LiveCounts {
	c := s.counts
	c.ConnectionsLost, c.Refused = sum(c.ConnectionsLostByReason), sum(c.RefusedByReason)
	c.Returns = int64(len(s.away))
	for _, n := range s.perSecond {
		c.PeakReturnsPerSecond = max(c.PeakReturnsPerSecond, n)
	}
	c.Away = awayTimes(s.away)
	return c
}

func sum(counts map[string]int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}

// awayTimes returns the percentiles of times: the smallest times that at least this part of them does not exceed.
func awayTimes(times []time.Duration) AwayTimes {
	if len(times) == 0 {
		return AwayTimes{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(percent int) float64 { return sorted[(len(sorted)*percent+99)/100-1].Seconds() }
	return AwayTimes{P50: at(50), P99: at(99), Max: at(100)}
}

// awayHistogram returns the times as a histogram, to be drawn.
func awayHistogram(times []time.Duration) *hdrhistogram.Histogram {
	h := newHistogram()
	for _, t := range times {
		record(h, int64(t))
	}
	return h
}
