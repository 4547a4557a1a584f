package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/channel"
)

const (
	ruleListType = "rules"
	ruleExample  = `[{"pattern":"chat:*","history":{"size":100,"ttl":"10m"},"recovery":true}]`
	ruleWords    = "slowConsumer is Disconnect, DropOldest or LatestOnly; publish is Nobody, Subscribers or Anybody; subscribe is Anybody, Authenticated or Token; " +
		"recovery needs history and slowConsumer Disconnect; joinLeave needs presence"
)

// ruleList is channel rules as the value of a flag: JSON, or what YAML has made of a list of maps.
type ruleList channel.Rules

func (l *ruleList) String() string {
	b, err := json.Marshal(channel.Rules(*l))
	if err != nil || len(*l) == 0 {
		return "[]"
	}
	return string(b)
}

// Type implements pflag.Value.
func (l *ruleList) Type() string { return ruleListType }

// Set implements pflag.Value.
func (l *ruleList) Set(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var rules channel.Rules
	if err := decoder.Decode(&rules); err != nil {
		return fmt.Errorf("is no list of rules: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has something after the list of rules")
	}
	*l = ruleList(rules)
	return nil
}

// take sets the rules to what a source holds.
func (l *ruleList) take(value any) error {
	switch v := value.(type) {
	case nil:
		return errors.New("has no value")
	case string:
		return l.Set(v)
	case []any:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("is no list of rules: %w", err)
		}
		return l.Set(string(text))
	default:
		return errors.New("is no list")
	}
}

// ruleMaps are rules as they stand in a configuration file.
func ruleMaps(rules channel.Rules) []map[string]any {
	maps := make([]map[string]any, 0, len(rules))
	for _, r := range rules {
		maps = append(maps, ruleMap(r))
	}
	return maps
}

// ruleMap leaves out what the rule leaves to the defaults.
func ruleMap(r channel.Rule) map[string]any {
	rule := map[string]any{"pattern": r.Pattern}
	if r.History.Size > 0 {
		rule["history"] = map[string]any{"size": r.History.Size, "ttl": r.History.TTL.String()}
	}
	for key, on := range map[string]bool{"recovery": r.Recovery, "presence": r.Presence, "joinLeave": r.JoinLeave} {
		if on {
			rule[key] = true
		}
	}
	for key, word := range map[string]string{"publish": string(r.Publish), "subscribe": string(r.Subscribe), "slowConsumer": string(r.SlowConsumer)} {
		if word != "" {
			rule[key] = word
		}
	}
	return rule
}
