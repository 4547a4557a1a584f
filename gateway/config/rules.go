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
	ruleValues   = "slowConsumer is Disconnect, DropOldest or LatestOnly; publish is Nobody, Subscribers or Anybody; " +
		"subscribe is Anybody, Authenticated or Token; readPresence and readHistory are Subscribers or Anybody, which " +
		"needs presence or history; recovery needs history and slowConsumer Disconnect; " +
		"recoveryMode is Stream or Cache, which needs recovery; " +
		"joinLeave needs presence; forceJoinLeave needs joinLeave"
)

// ruleList makes channel rules the value of a flag. It implements pflag.Value.
type ruleList channel.Rules

// String returns the rules as JSON.
func (l *ruleList) String() string {
	b, err := json.Marshal(channel.Rules(*l))
	if err != nil || len(*l) == 0 {
		return "[]"
	}
	return string(b)
}

// Type returns ruleListType.
func (l *ruleList) Type() string { return ruleListType }

// Set replaces the rules with those of a JSON array. It returns an error when text is something else.
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

// setAny replaces the rules with a value as a source's parser gave it: JSON as text, or a list from YAML. It returns an
// error when value is something else.
func (l *ruleList) setAny(value any) error {
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

// ruleMaps returns rules in the form that they have in a configuration file.
func ruleMaps(rules channel.Rules) []map[string]any {
	maps := make([]map[string]any, 0, len(rules))
	for _, r := range rules {
		maps = append(maps, ruleMap(r))
	}
	return maps
}

// ruleMap returns one rule without the fields that have their default.
func ruleMap(r channel.Rule) map[string]any {
	rule := map[string]any{"pattern": r.Pattern}
	if r.History.Size > 0 {
		rule["history"] = map[string]any{"size": r.History.Size, "ttl": r.History.TTL.String()}
	}
	toggles := map[string]bool{
		"recovery":       r.Recovery,
		"presence":       r.Presence,
		"joinLeave":      r.JoinLeave,
		"forceJoinLeave": r.ForceJoinLeave,
		"tagsFilter":     r.TagsFilter,
	}
	for key, on := range toggles {
		if on {
			rule[key] = true
		}
	}
	choices := map[string]string{
		"recoveryMode": string(r.RecoveryMode),
		"readPresence": string(r.ReadPresence),
		"readHistory":  string(r.ReadHistory),
		"publish":      string(r.Publish),
		"subscribe":    string(r.Subscribe),
		"slowConsumer": string(r.SlowConsumer),
	}
	for key, value := range choices {
		if value != "" {
			rule[key] = value
		}
	}
	return rule
}
