package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/gateway/channel"
)

const (
	ruleListType = "rules"
	ruleExample  = `[{"pattern":"prices:*","slowConsumer":"LatestOnly"}]`
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
		rule := map[string]any{"pattern": r.Pattern}
		if r.SlowConsumer != "" {
			rule["slowConsumer"] = string(r.SlowConsumer)
		}
		maps = append(maps, rule)
	}
	return maps
}
