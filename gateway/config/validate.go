package config

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	maxPort = 65535
	// maxNodeNameBytes is the maximum length of a pod's name.
	maxNodeNameBytes = 253
)

// checker collects all problems of a configuration, so that one start reports all of them.
type checker struct {
	// sources holds the source of each key that is not at its default.
	sources map[string]string
	errs    []error
}

// fail adds a problem. problem is a format for args; see Error for the parts.
func (c *checker) fail(key, remedy, problem string, args ...any) {
	source := c.sources[key]
	if source == "" {
		source = "default"
	}
	c.errs = append(c.errs, &Error{Key: key, Source: source, Problem: fmt.Sprintf(problem, args...), Remedy: remedy})
}

// between checks that a number is in a range.
func (c *checker) between(key string, value int, allowed span[int]) {
	if value < allowed.low || value > allowed.high {
		remedy := fmt.Sprintf("give a number from %d to %d", allowed.low, allowed.high)
		c.fail(key, remedy, "%d is out of range", value)
	}
}

// lasting checks that a duration is in a range.
func (c *checker) lasting(key string, value time.Duration, allowed span[time.Duration]) {
	if value < allowed.low || value > allowed.high {
		remedy := fmt.Sprintf("give a duration from %v to %v", allowed.low, allowed.high)
		c.fail(key, remedy, "%v is out of range", value)
	}
}

// oneOf checks that a text is one of the allowed ones.
func (c *checker) oneOf(key, value string, allowed []string) {
	if !slices.Contains(allowed, value) {
		c.fail(key, "use one of "+strings.Join(allowed, ", "), "%q is not known", value)
	}
}

// address checks an address to listen on.
func (c *checker) address(key, value string) {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		c.fail(key, "give host:port, or :port for all interfaces", "%q is no address", value)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > maxPort {
		c.fail(key, "give a port from 0 to 65535 (0 = any free one)", "port %q is out of range", port)
	}
}

// validate checks every key by itself, and then the keys that depend on each other. It returns one *Error for each
// problem, joined.
func (l *loader) validate() error {
	c := &checker{sources: l.sources}
	for _, check := range l.schema.checks {
		check(c)
	}
	l.cfg.checkServer(c)
	l.cfg.checkQueues(c)
	l.cfg.checkTimes(c)
	l.cfg.checkDrain(c)
	l.cfg.checkChannels(c)
	l.cfg.checkPublicPort(c)
	l.cfg.checkAffinity(c)
	l.cfg.checkAffinityValue(c)
	l.cfg.checkAuth(c)
	l.cfg.checkHooks(c)
	if l.cfg.Broker == contract.BrokerRedis {
		l.cfg.checkRedis(c)
	}
	return errors.Join(c.errs...)
}

func (cfg *Config) checkServer(c *checker) {
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(cfg.NodeName) > maxNodeNameBytes || strings.ContainsFunc(cfg.NodeName, unprintable) {
		remedy := fmt.Sprintf("use at most %d printable ASCII characters without spaces", maxNodeNameBytes)
		c.fail(contract.KeyNodeName, remedy, "%q cannot be sent in a header", cfg.NodeName)
	}
	if cfg.Listen == cfg.AdminListen && !strings.HasSuffix(cfg.Listen, ":0") {
		remedy := "give it another port than " + contract.KeyListen
		c.fail(contract.KeyAdminListen, remedy, "%q is already the public address", cfg.AdminListen)
	}
}

func (cfg *Config) checkQueues(c *checker) {
	low := int64(cfg.MaxQueuedBytes)
	if cfg.MaxTotalQueuedBytes < low || cfg.MaxTotalQueuedBytes > maxTotalBytes {
		const format = "give a number from %d, which is %s, to %d"
		remedy := fmt.Sprintf(format, low, contract.KeyMaxQueuedBytes, maxTotalBytes)
		c.fail(contract.KeyMaxTotalQueuedBytes, remedy, "%d is out of range", cfg.MaxTotalQueuedBytes)
	}
}

func (cfg *Config) checkTimes(c *checker) {
	c.shorter(contract.KeyPongTimeout, cfg.PongTimeout, contract.KeyPingInterval, cfg.PingInterval)
	c.shorter(contract.KeyPresenceGrace, cfg.PresenceGrace, contract.KeyPresenceTTL, cfg.PresenceTTL)
	if cfg.DrainTimeout > 0 {
		c.shorter(contract.KeyDrainPropagationDelay, cfg.DrainPropagationDelay, contract.KeyDrainTimeout, cfg.DrainTimeout)
	}
}

// drainCloseCodes names what checkDrain allows.
const drainCloseCodes = "one of 1001, 1012, 1013, 3000 to 3499, 4000 and 4100 to 4299"

// checkDrain checks the close code of a drain. Codes outside of the allowed ones either may not be sent (RFC 6455
// section 7.4), or tell a protocol's SDK not to come back: 3500 to 3999 and 4500 to 4999 Centrifuge's, 4400 to 4499
// that of y-websocket, 4001 to 4099 and 4300 up that of Pusher.
func (cfg *Config) checkDrain(c *checker) {
	switch code := cfg.DrainCloseCode; {
	case code == transport.CodeGoingAway, code == transport.CodeRestart, code == transport.CodeTryAgainLater:
	case code >= 3000 && code <= 3499, code == 4000, code >= 4100 && code <= 4299:
	case code >= 3500 && code <= 4999:
		c.fail(contract.KeyDrainCloseCode, "use "+drainCloseCodes, "%d makes some clients' libraries stay away", code)
	default:
		c.fail(contract.KeyDrainCloseCode, "use "+drainCloseCodes, "%d is no code that asks a client to come back", code)
	}
}

// shorter checks that the duration of one key is less than that of another.
func (c *checker) shorter(key string, value time.Duration, otherKey string, other time.Duration) {
	if value >= other {
		c.fail(key, "make it shorter than "+otherKey, "%v is not less than %s %v", value, otherKey, other)
	}
}

func (cfg *Config) checkChannels(c *checker) {
	if err := cfg.Channels.Check(); err != nil {
		problem := strings.ReplaceAll(err.Error(), "\n", ", ")
		remedy := "write rules like " + ruleExample + ", each pattern once; " + ruleValues
		c.fail(contract.KeyChannels, remedy, "%s", problem)
	}
}

func (cfg *Config) checkPublicPort(c *checker) {
	if cfg.TLSCertFile == "" && cfg.TLSKeyFile != "" {
		remedy := "name the certificate of " + contract.KeyTLSKeyFile + ", or leave both out"
		c.fail(contract.KeyTLSCertFile, remedy, "is empty, but %s is not", contract.KeyTLSKeyFile)
	}
	if cfg.TLSCertFile != "" && cfg.TLSKeyFile == "" {
		remedy := "name the key of " + contract.KeyTLSCertFile + ", or leave both out"
		c.fail(contract.KeyTLSKeyFile, remedy, "is empty, but %s is not", contract.KeyTLSCertFile)
	}
	if _, err := transport.ParseOrigins(cfg.AllowedOrigins); err != nil {
		c.fail(contract.KeyAllowedOrigins, "write scheme://host[:port], scheme://*.domain, or *", "%v", err)
	}
	if _, err := transport.ParseProxies(cfg.TrustedProxies); err != nil {
		c.fail(contract.KeyTrustedProxies, "write networks like 10.0.0.0/8 or single addresses", "%v", err)
	}
	if cfg.ProxyProtocol != contract.ProxyProtocolDisabled && len(cfg.TrustedProxies) == 0 {
		remedy := "name the proxies in " + contract.KeyTrustedProxies + ", or set it to " + contract.ProxyProtocolDisabled
		c.fail(contract.KeyProxyProtocol, remedy, "is %s, but no proxy is trusted", cfg.ProxyProtocol)
	}
}

func (cfg *Config) checkAffinity(c *checker) {
	if cfg.AffinityCookie != "" {
		cookie := http.Cookie{Name: cfg.AffinityCookie, Path: "/"} //nolint:gosec // only its name is checked
		if err := cookie.Valid(); err != nil {
			c.fail(contract.KeyAffinityCookie, "use letters, digits, - and _", "%q is no cookie name", cfg.AffinityCookie)
		}
	}
	cookie := http.Cookie{Name: "x", Path: cfg.AffinityCookiePath} //nolint:gosec // only its path is checked
	if !strings.HasPrefix(cfg.AffinityCookiePath, "/") || cookie.Valid() != nil {
		c.fail(contract.KeyAffinityCookiePath, "begin it with /", "%q is no cookie path", cfg.AffinityCookiePath)
	}
}

func (cfg *Config) checkAffinityValue(c *checker) {
	if cfg.AffinityCookieValue == "" {
		return
	}
	if cfg.AffinityCookie == "" {
		remedy := "name the cookie in " + contract.KeyAffinityCookie + ", or leave both out"
		c.fail(contract.KeyAffinityCookieValue, remedy, "is set, but %s is not", contract.KeyAffinityCookie)
	}
	if !strings.Contains(cfg.AffinityCookieValue, contract.AffinityName) {
		remedy := "write " + contract.AffinityName + " where the gateway's name belongs"
		c.fail(contract.KeyAffinityCookieValue, remedy, "%q is the same for all gateways", cfg.AffinityCookieValue)
	}
	value := cfg.AffinityValue()
	cookie := http.Cookie{Name: "x", Value: value} //nolint:gosec // only its value is checked
	if cookie.Valid() != nil || strings.ContainsAny(value, " ,") {
		remedy := "use printable ASCII characters without spaces, quotes, commas, semicolons and backslashes, also in " +
			contract.KeyNodeName
		c.fail(contract.KeyAffinityCookieValue, remedy, "%q is no cookie value", value)
	}
}

func (cfg *Config) checkRedis(c *checker) {
	if len(cfg.RedisAddresses) == 0 {
		remedy := "give at least one host:port, or set " + contract.KeyBroker + " to " + contract.BrokerMemory
		c.fail(contract.KeyRedisAddresses, remedy, "is empty, but %s is %s", contract.KeyBroker, contract.BrokerRedis)
	}
	for _, address := range cfg.RedisAddresses {
		checkRedisAddress(c, address)
	}
	if cfg.RedisMode == contract.RedisStandalone && len(cfg.RedisAddresses) > 1 {
		remedy := "give one address, or set " + contract.KeyRedisMode + " to sentinel or cluster"
		c.fail(contract.KeyRedisAddresses, remedy, "%d addresses for a standalone Redis", len(cfg.RedisAddresses))
	}
	if cfg.RedisMode == contract.RedisSentinel && cfg.RedisMasterName == "" {
		remedy := "name the master as in `sentinel monitor NAME ...`"
		c.fail(contract.KeyRedisMasterName, remedy, "is empty, but %s is %s", contract.KeyRedisMode, contract.RedisSentinel)
	}
	if strings.ContainsFunc(cfg.RedisPrefix, func(r rune) bool { return r <= ' ' }) {
		c.fail(contract.KeyRedisPrefix, "leave spaces and control characters out", "%q is no prefix", cfg.RedisPrefix)
	}
}

func checkRedisAddress(c *checker, address string) {
	if strings.Contains(address, "@") {
		// The address holds a password, and the problem goes to the log: do not repeat it.
		remedy := "write host:port, and set " + contract.KeyRedisUsername + " and " + contract.KeyRedisPassword
		c.fail(contract.KeyRedisAddresses, remedy, "an address holds credentials")
		return
	}
	host, port, err := net.SplitHostPort(address)
	if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || host == "" || n < 1 || n > maxPort {
		c.fail(contract.KeyRedisAddresses, "write host:port", "%q is no address", address)
	}
}
