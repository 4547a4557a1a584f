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

type channelRequest struct {
	Channel string `json:"channel"`
}

// clientInfo is who a client is.
type clientInfo struct {
	Client   string          `json:"client"`
	User     string          `json:"user"`
	ConnInfo json.RawMessage `json:"conn_info,omitempty"`
	ChanInfo json.RawMessage `json:"chan_info,omitempty"`
}

func describe(i broker.ClientInfo) clientInfo {
	c := clientInfo{Client: i.Client, User: i.User}
	if len(i.ConnInfo) > 0 {
		c.ConnInfo = asJSON(i.ConnInfo)
	}
	if len(i.ChanInfo) > 0 {
		c.ChanInfo = asJSON(i.ChanInfo)
	}
	return c
}

type presenceResult struct {
	Presence map[string]clientInfo `json:"presence"`
}

// presence is who is in a channel.
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
		result.Presence[id] = describe(m)
	}
	return result, nil
}

type presenceStatsResult struct {
	Clients int `json:"num_clients"`
	Users   int `json:"num_users"`
}

// presenceStats is how many are in a channel.
func (a *API) presenceStats(ctx context.Context, r *channelRequest) (any, error) {
	if err := a.checkChannel(r.Channel); err != nil {
		return nil, err
	}
	clients, users, err := a.options.Fleet.PresenceStats(ctx, r.Channel)
	return presenceStatsResult{Clients: clients, Users: users}, err
}

type historyRequest struct {
	Channel string    `json:"channel"`
	Limit   int       `json:"limit"`
	Since   *position `json:"since"`
	Reverse bool      `json:"reverse"`
}

// publication is one message of a channel's history; data or b64data, as it was published.
type publication struct {
	Data    json.RawMessage   `json:"data,omitempty"`
	B64Data *string           `json:"b64data,omitempty"`
	Offset  uint64            `json:"offset"`
	Info    *clientInfo       `json:"info,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

type historyResult struct {
	Publications []publication `json:"publications"`
	Offset       uint64        `json:"offset"`
	Epoch        string        `json:"epoch"`
}

// history reads a channel's stream.
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
	if q.Since != nil && q.Since.Epoch != stream.Top.Epoch {
		return nil, fmt.Errorf("%w: since.epoch is not the stream's any more; read from the beginning", broker.ErrUnrecoverable)
	}
	result := historyResult{Publications: make([]publication, len(stream.Publications)), Offset: stream.Top.Offset, Epoch: stream.Top.Epoch}
	for i, p := range stream.Publications {
		result.Publications[i] = published(p)
	}
	return result, nil
}

// query is what to read: without a limit the position only, with a negative one as much as one
// request may.
func (r *historyRequest) query() (broker.HistoryQuery, error) {
	q := broker.HistoryQuery{Limit: r.Limit, Reverse: r.Reverse}
	switch {
	case r.Limit > MaxHistory:
		return q, tooMuch("limit", "%d is more than %d; read on with since", r.Limit, MaxHistory)
	case r.Limit < 0:
		q.Limit = MaxHistory
	}
	var err error
	q.Since, err = r.Since.read("since")
	return q, err
}

func published(p broker.Publication) publication {
	out := publication{Offset: p.Offset, Tags: p.Tags}
	if p.Binary {
		out.B64Data = new(base64.StdEncoding.EncodeToString(p.Data))
	} else {
		out.Data = asJSON(p.Data)
	}
	if p.Info != nil {
		out.Info = new(describe(*p.Info))
	}
	return out
}

// removeHistory forgets a channel's publications.
func (a *API) removeHistory(ctx context.Context, r *channelRequest) (any, error) {
	if err := a.checkChannel(r.Channel); err != nil {
		return nil, err
	}
	return struct{}{}, a.options.Fleet.RemoveHistory(ctx, r.Channel)
}

type channelsRequest struct {
	// Pattern is as in channel rules; without one all match.
	Pattern string `json:"pattern"`
}

type channelInfo struct {
	Clients int `json:"num_clients"`
}

type channelsResult struct {
	Channels map[string]channelInfo `json:"channels"`
}

// channels are those that have subscribers.
func (a *API) channels(ctx context.Context, r *channelsRequest) (any, error) {
	if n := utf8.RuneCountInString(r.Pattern); n > channel.MaxPatternChars {
		return nil, tooMuch("pattern", "%d characters are more than %d", n, channel.MaxPatternChars)
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

type node struct {
	UID      string `json:"uid"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Clients  int    `json:"num_clients"`
	Users    int    `json:"num_users"`
	Channels int    `json:"num_channels"`
	// Uptime is in seconds.
	Uptime int64 `json:"uptime"`
}

type infoResult struct {
	Nodes []node `json:"nodes"`
}

// info is about all gateways.
func (a *API) info(ctx context.Context, _ *struct{}) (any, error) {
	gateways, err := a.options.Fleet.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	result := infoResult{Nodes: make([]node, len(gateways))}
	for i, g := range gateways {
		result.Nodes[i] = node{
			UID: g.UID, Name: g.Name, Version: g.Version,
			Clients: g.Clients, Users: g.Users, Channels: g.Channels, Uptime: int64(g.Uptime.Seconds()),
		}
	}
	return result, nil
}
