package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/internal/channel"
)

// Flags returns all keys as a set of flags with their defaults, for a command to parse and to show as help.
func Flags() *pflag.FlagSet {
	return newSchema(&Config{}).flags
}

// Default returns the configuration of a gateway that was told nothing: one process, no Redis.
func Default() Config {
	var c Config
	newSchema(&c)
	return c
}

// schema collects the declarations of all keys. Each method declares one key: it binds the key to a field of a Config,
// sets the field to the default and adds the key's own checks. The help text's word in backquotes is the unit, which
// --help shows after the flag.
type schema struct {
	flags *pflag.FlagSet
	// secrets holds the keys whose values are shown to no one.
	secrets map[string]bool
	// checks hold one function for each key with bounds.
	checks []func(*checker)
}

// span is an inclusive range of values.
type span[T any] struct{ low, high T }

// within returns the span from low to high.
func within[T any](low, high T) span[T] { return span[T]{low, high} }

// text declares a key with any text as value.
func (s *schema) text(p *string, key, def, help string) {
	s.flags.StringVar(p, key, def, help)
}

// secret declares a key whose value is redacted when the configuration is shown.
func (s *schema) secret(p *string, key, help string) {
	s.flags.StringVar(p, key, "", help+" Set it in the environment rather than on the command line.")
	s.secrets[key] = true
}

// choice declares a key with one of the values.
func (s *schema) choice(p *string, key, def string, values []string, help string) {
	s.flags.StringVar(p, key, def, help+" One of "+strings.Join(values, ", ")+".")
	s.checks = append(s.checks, func(c *checker) { c.oneOf(key, *p, values) })
}

// address declares a key with a host:port that the gateway listens on.
func (s *schema) address(p *string, key, def, help string) {
	s.flags.StringVar(p, key, def, help)
	s.checks = append(s.checks, func(c *checker) { c.address(key, *p) })
}

// number declares a key with a whole number.
func (s *schema) number(p *int, key string, def int, allowed span[int], help string) {
	s.flags.IntVar(p, key, def, fmt.Sprintf("%s From %d to %d.", help, allowed.low, allowed.high))
	s.checks = append(s.checks, func(c *checker) { c.between(key, *p, allowed) })
}

// integer declares a key with a whole number whose values are no range. The caller checks them.
func (s *schema) integer(p *int, key string, def int, help string) {
	s.flags.IntVar(p, key, def, help)
}

// total declares a key with a whole number that may exceed 32 bits. Its bounds depend on another key.
func (s *schema) total(p *int64, key string, def int64, help string) {
	s.flags.Int64Var(p, key, def, help)
}

// duration declares a key with a time.Duration.
func (s *schema) duration(p *time.Duration, key string, def time.Duration, allowed span[time.Duration], help string) {
	from, to := short(allowed.low), short(allowed.high)
	s.flags.DurationVar(p, key, def, fmt.Sprintf("%s From %s to %s.", help, from, to))
	s.checks = append(s.checks, func(c *checker) { c.lasting(key, *p, allowed) })
}

// toggle declares a key that is true or false.
func (s *schema) toggle(p *bool, key string, def bool, help string) {
	s.flags.BoolVar(p, key, def, help)
}

// list declares a key with a list of texts, which is empty by default.
func (s *schema) list(p *[]string, key, help string) {
	s.flags.StringSliceVar(p, key, nil, help)
}

// rules declares a key with channel rules.
func (s *schema) rules(p *channel.Rules, key, help string) {
	s.flags.Var((*ruleList)(p), key, help)
}

// short returns a duration without trailing zero units: 10m and not 10m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// newSchema declares all keys and sets c to their defaults.
func newSchema(c *Config) *schema {
	flags := pflag.NewFlagSet("wsfleet-gateway", pflag.ContinueOnError)
	flags.SortFlags = false
	s := &schema{flags: flags, secrets: map[string]bool{}}
	serverSettings(s, c)
	limitSettings(s, c)
	timeoutSettings(s, c)
	channelSettings(s, c)
	publicPortSettings(s, c)
	authSettings(s, c)
	callbackSettings(s, c)
	webhookSettings(s, c)
	brokerSettings(s, c)
	drainSettings(s, c)
	return s
}
