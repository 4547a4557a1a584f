package serverapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// channelRequest is the request of methods that only need a channel.
type channelRequest struct {
	Channel string `json:"channel"`
}

// clientInfo describes a client.
type clientInfo struct {
	Client   string          `json:"client"`
	User     string          `json:"user"`
	ConnInfo json.RawMessage `json:"conn_info,omitempty"`
	ChanInfo json.RawMessage `json:"chan_info,omitempty"`
}

// toClientInfo returns i in the form of the API.
func toClientInfo(i broker.ClientInfo) clientInfo {
	c := clientInfo{Client: i.Client, User: i.User}
	if len(i.ConnInfo) > 0 {
		c.ConnInfo = asJSON(i.ConnInfo)
	}
	if len(i.ChanInfo) > 0 {
		c.ChanInfo = asJSON(i.ChanInfo)
	}
	return c
}

// presenceResult has the clients by their ids.
type presenceResult struct {
	Presence map[string]clientInfo `json:"presence"`
}

// presence returns the clients in a channel. It returns an *apiError or the Fleet's error.
func (a *API) presence(ctx context.Context, r *channelRequest) (any, error) {
	if err := a.checkChannel(r.Channel); err != nil {
		return nil, err
	}
	members, err := a.options.Fleet.Presence(ctx, r.Channel)
	if err != nil {
		return nil, err
	}
	result := presenceResult{Presence: make(map[string]clientInfo, len(members))}
	for id, m := range members {
		result.Presence[id] = toClientInfo(m)
	}
	return result, nil
}

// presenceStatsResult is the result of presence_stats.
type presenceStatsResult struct {
	Clients int `json:"num_clients"`
	Users   int `json:"num_users"`
}

// presenceStats counts the clients in a channel. It returns an *apiError or the Fleet's error.
func (a *API) presenceStats(ctx context.Context, r *channelRequest) (any, error) {
	if err := a.checkChannel(r.Channel); err != nil {
		return nil, err
	}
	clients, users, err := a.options.Fleet.PresenceStats(ctx, r.Channel)
	return presenceStatsResult{Clients: clients, Users: users}, err
}

// historyRequest is the request of history.
type historyRequest struct {
	Channel string    `json:"channel"`
	Limit   int       `json:"limit"`
	Since   *position `json:"since"`
	Reverse bool      `json:"reverse"`
}

// publication is a message of a channel's history. It has Data or B64Data, as it was published.
type publication struct {
	Data    json.RawMessage   `json:"data,omitempty"`
	B64Data *string           `json:"b64data,omitempty"`
	Offset  uint64            `json:"offset"`
	Info    *clientInfo       `json:"info,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// historyResult is the result of history. Offset and Epoch are those of the latest publication.
type historyResult struct {
	Publications []publication `json:"publications"`
	Offset       uint64        `json:"offset"`
	Epoch        string        `json:"epoch"`
}

// history reads a channel's stream. It returns an *apiError, the Fleet's error, or one that wraps
// broker.ErrUnrecoverable.
func (a *API) history(ctx context.Context, r *historyRequest) (any, error) {
	if err := a.checkChannel(r.Channel); err != nil {
		return nil, err
	}
	q, err := r.query()
	if err != nil {
		return nil, err
	}
	stream, err := a.options.Fleet.History(ctx, r.Channel, q)
	if err != nil {
		return nil, err
	}
	if q.Since != nil && !q.Since.InEpoch(stream.Top.Epoch) {
		return nil, fmt.Errorf("%w: since.epoch is not the stream's any more; read from the beginning",
			broker.ErrUnrecoverable)
	}
	result := historyResult{
		Publications: make([]publication, len(stream.Publications)),
		Offset:       stream.Top.Offset,
		Epoch:        stream.Top.Epoch,
	}
	for i, p := range stream.Publications {
		result.Publications[i] = toPublication(p)
	}
	return result, nil
}

// query returns the query of the Fleet. A limit of 0 reads only the position, a negative limit as much as one request
// may. It returns an *apiError.
func (r *historyRequest) query() (broker.HistoryQuery, error) {
	q := broker.HistoryQuery{Limit: r.Limit, Reverse: r.Reverse}
	switch {
	case r.Limit > MaxHistory:
		return q, limitExceeded("limit", "%d is more than %d; read on with since", r.Limit, MaxHistory)
	case r.Limit < 0:
		q.Limit = MaxHistory
	}
	q.Since = r.Since.read()
	return q, nil
}

// toPublication returns p in the form of the API.
func toPublication(p broker.Publication) publication {
	out := publication{Offset: p.Offset, Tags: p.Tags}
	if p.Binary {
		out.B64Data = new(base64.StdEncoding.EncodeToString(p.Data))
	} else {
		out.Data = asJSON(p.Data)
	}
	if p.Info != nil {
		out.Info = new(toClientInfo(*p.Info))
	}
	return out
}

// removeHistory deletes a channel's publications. It returns an *apiError or the Fleet's error.
func (a *API) removeHistory(ctx context.Context, r *channelRequest) (any, error) {
	if err := a.checkChannel(r.Channel); err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.RemoveHistory(ctx, r.Channel)
}

// channelsRequest is the request of channels.
type channelsRequest struct {
	// Pattern has the syntax of channel rules. An empty one matches all channels.
	Pattern string `json:"pattern"`
}

// channelInfo describes a channel.
type channelInfo struct {
	Clients int `json:"num_clients"`
}

// channelsResult has the channels by their names.
type channelsResult struct {
	Channels map[string]channelInfo `json:"channels"`
}

// channels lists the channels that have subscribers. It returns an *apiError or the Fleet's error.
func (a *API) channels(ctx context.Context, r *channelsRequest) (any, error) {
	if n := utf8.RuneCountInString(r.Pattern); n > channel.MaxPatternChars {
		return nil, limitExceeded("pattern", "%d characters are more than %d", n, channel.MaxPatternChars)
	}
	pattern := r.Pattern
	if pattern == "" {
		pattern = "*"
	}
	found, err := a.options.Fleet.Channels(ctx, pattern)
	if err != nil {
		return nil, err
	}
	result := channelsResult{Channels: make(map[string]channelInfo, len(found))}
	for name, clients := range found {
		result.Channels[name] = channelInfo{Clients: clients}
	}
	return result, nil
}

// nodeInfo describes a gateway.
type nodeInfo struct {
	UID      string `json:"uid"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Clients  int    `json:"num_clients"`
	Users    int    `json:"num_users"`
	Channels int    `json:"num_channels"`
	// Subscriptions is the number of subscriptions of clients.
	Subscriptions int `json:"num_subs"`
	// Uptime is in seconds.
	Uptime int64 `json:"uptime"`
	// Process is what the gateway's process uses; nil where it is not known.
	Process *processInfo `json:"process,omitempty"`
}

// processInfo is Process as Centrifugo's API has it.
type processInfo struct {
	CPU float64 `json:"cpu"`
	RSS int64   `json:"rss"`
}

// infoResult is the result of info.
type infoResult struct {
	Nodes []nodeInfo `json:"nodes"`
}

// info describes all gateways. It returns the Fleet's error.
func (a *API) info(ctx context.Context, _ *struct{}) (any, error) {
	gateways, err := a.options.Fleet.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	result := infoResult{Nodes: make([]nodeInfo, len(gateways))}
	for i, g := range gateways {
		result.Nodes[i] = nodeInfo{
			UID:           g.UID,
			Name:          g.Name,
			Version:       g.Version,
			Clients:       g.Clients,
			Users:         g.Users,
			Channels:      g.Channels,
			Subscriptions: g.Subscriptions,
			Uptime:        int64(g.Uptime.Seconds()),
			Process:       (*processInfo)(g.Process),
		}
	}
	return result, nil
}
