package config

import (
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// webhookEvents returns the events that can be sent to the webhook.
func webhookEvents() []string {
	return []string{
		contract.WebhookConnected, contract.WebhookDisconnected, contract.WebhookOccupied, contract.WebhookVacated,
	}
}

// Hooks returns the options for calling hooks and the webhook.
func (cfg *Config) Hooks() hooks.Options {
	callback := func(url, whenDown string) hooks.Callback {
		return hooks.Callback{URL: url, Timeout: cfg.HookTimeout, WhenDown: hooks.Policy(whenDown)}
	}
	return hooks.Options{
		Connect:        callback(cfg.HookConnectURL, cfg.HookConnectWhenDown),
		Subscribe:      callback(cfg.HookSubscribeURL, cfg.HookSubscribeWhenDown),
		Publish:        callback(cfg.HookPublishURL, cfg.HookPublishWhenDown),
		RPC:            callback(cfg.HookRPCURL, ""),
		Refresh:        callback(cfg.HookRefreshURL, ""),
		SubRefresh:     callback(cfg.HookSubRefreshURL, ""),
		Secret:         cfg.HookSecret,
		ForwardHeaders: cfg.HookForwardHeaders,
		WebhookURL:     cfg.WebhookURL,
		WebhookEvents:  cfg.WebhookEvents,
		Cluster:        cfg.RedisPrefix,
		Node:           cfg.NodeName,
	}
}

func (cfg *Config) checkHooks(c *checker) {
	for _, p := range hooks.Problems(cfg.Hooks()) {
		c.fail(p.Field, p.Remedy, "%s", p.Problem)
	}
}
