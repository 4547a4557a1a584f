package session

import (
	"log/slog"
	"slices"

	"github.com/wsfleet/wsfleet/gateway/auth"
)

// withPersonal returns a client's complete claims with its personal channel among their channels, and that channel. A
// client that has none keeps its claims. It never changes the claims that it gets, which others may read.
func (o *Options) withPersonal(c *auth.Claims) (claims *auth.Claims, personal string) {
	if !o.PersonalChannels || c == nil {
		return c, ""
	}
	personal, ok := personalChannel(c.User)
	switch {
	case !ok:
		return c, ""
	case c.Names(personal):
		return c, personal
	}
	added := *c
	added.Channels = slices.Concat(c.Channels, []string{personal})
	return &added, personal
}

// logNoPersonal logs a client that connects without the personal channel that it would have as another user. The user
// is not logged: it is personal data.
func (o *Options) logNoPersonal(i Identity) {
	if !o.PersonalChannels || i.Personal != "" || i.Claims == nil || i.Claims.User == "" {
		return
	}
	o.Logger.Debug("a client has no personal channel: its user is too long, or holds a #, a comma or a control character",
		slog.Int("bytes", len(i.Claims.User)))
}
