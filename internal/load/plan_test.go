package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanGivesPublishersDistinctSlots(t *testing.T) {
	for _, scenario := range []Scenario{Idle, Fanout, Chat, Direct, Storm, Ramp, Live} {
		for _, channels := range []int{1, 3, 5} {
			o := options(scenario, "", func(o *Options) { o.Clients, o.Channels, o.Recover = 10, channels, scenario == Storm })
			o.applyDefaults()
			p := newPlan(&o, 3)
			taken, publishers := map[[2]int]bool{}, make([]int, 3)
			for id := range p.total {
				require.Less(t, p.channel(id), p.channels)
				if !p.publishes(id) {
					continue
				}
				publishers[p.process(id)]++
				place := [2]int{p.channel(id), p.publisherSlot(id)}
				require.Less(t, p.publisherSlot(id), p.publisherSlots())
				require.False(t, taken[place], "%s: %v twice", scenario, place)
				taken[place] = true
			}
			for process, n := range publishers {
				require.Equal(t, n, p.publishers(process), scenario)
			}
		}
	}
}

func TestPlanDirectHasPairs(t *testing.T) {
	o := options(Direct, "", func(o *Options) { o.Clients = 10 })
	o.applyDefaults()
	p, members := newPlan(&o, 1), map[int]int{}
	for id := range p.total {
		members[p.channel(id)]++
	}
	require.Equal(t, map[int]int{0: 2, 1: 2, 2: 2, 3: 2, 4: 2}, members)
}

func TestPlanLiveHasGroupsBehindItsPublishers(t *testing.T) {
	o := options(Live, "", func(o *Options) {
		o.Clients, o.Channels = 4, 2
		o.Groups = []Group{{Clients: 2, Layer: soon}, {Clients: 1, Layer: soon, Plain: true}}
	})
	o.applyDefaults()
	require.Equal(t, 7, o.Clients)
	p := newPlan(&o, 1)
	require.Equal(t, 9, p.total)
	var groups []int
	for id := range p.total {
		groups = append(groups, p.group(id))
		require.Equal(t, p.publishes(id), !p.counts(id))
	}
	require.Equal(t, []int{-1, -1, 0, 0, 0, 0, 1, 1, 2}, groups)
}

func TestPlanSubscriptions(t *testing.T) {
	p := plan{channels: 5, subscriptions: 3, prefix: "load-"}
	require.Equal(t, []string{"load-4", "load-0", "load-1"}, p.channelNames(9))
	for channel, want := range map[int]int{4: 0, 0: 1, 1: 2, 2: -1, 3: -1} {
		index, found := p.subscription(9, channel)
		named, foundNamed := p.subscriptionOf(9, []byte(p.channelName(channel)))
		require.Equal(t, want >= 0, found, channel)
		require.Equal(t, found, foundNamed, channel)
		require.Equal(t, index, named, channel)
		if found {
			require.Equal(t, want, index, channel)
		}
	}
	for _, name := range []string{"", "load-", "load-5", "load--1", "chat-4", "load-4x"} {
		_, found := p.subscriptionOf(9, []byte(name))
		require.False(t, found, name)
	}
}

func TestProcessCountFollowsDescriptors(t *testing.T) {
	files, known := openFiles()
	require.True(t, known)
	o := options(Idle, "", func(o *Options) { o.Clients = files - spareFiles })
	require.Equal(t, 1, processCount(&o))
	o.Clients++
	require.Equal(t, 2, processCount(&o))
	o.Processes = 5
	require.Equal(t, 5, processCount(&o))
}

func TestShare(t *testing.T) {
	require.Equal(t, []int{3, 2, 2}, []int{share(7, 0, 3), share(7, 1, 3), share(7, 2, 3)})
}
