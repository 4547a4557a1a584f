package hub

import (
	"slices"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
)

// filtered is a subscriber with a filter. Most have none, and there are as many subscriptions as connections times
// channels, so that the filter has no field there.
type filtered struct {
	Subscriber
	filter *tagfilter.Filter
}

// filterOf returns a subscriber's filter, or nil.
func filterOf(m Subscriber) *tagfilter.Filter {
	if f, ok := m.(*filtered); ok {
		return f.filter
	}
	return nil
}

// unfiltered returns the subscriber that was attached.
func unfiltered(m Subscriber) Subscriber {
	if f, ok := m.(*filtered); ok {
		return f.Subscriber
	}
	return m
}

// wants reports whether the subscribers of the group get a message: their filter is for publications.
func (g *encoderGroup) wants(p broker.Publication) bool {
	return p.Kind != broker.KindPublication || g.filter.Matches(p.Tags)
}

// wanted returns the publications that a filter matches. It does not change all.
func wanted(all []broker.Publication, f *tagfilter.Filter) []broker.Publication {
	if f == nil {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(p broker.Publication) bool { return !f.Matches(p.Tags) })
}
