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

// Bounds that keep a typing mistake from becoming an outage.
const (
	mostConnections  = 10_000_000
	mostMessageBytes = 64 << 20
	mostQueuedBytes  = 1 << 30
	mostTotalBytes   = int64(1) << 40
	mostChannels     = 100_000
	mostRate         = 1_000_000
	longestDrain     = 24 * time.Hour
	longestPing      = time.Hour
	longestHandshake = 10 * time.Minute
	mostCloses       = 1_000_000
	leastPresence    = 5 * time.Second
	longestPresence  = time.Hour
	longestGrace     = 5 * time.Minute
	leastHook        = 10 * time.Millisecond
	longestHook      = 30 * time.Second
)

// checker collects problems, so that one start reports all of them.
type checker struct {
	sources map[string]string
	errs    []error
}

func (c *checker) fail(key, remedy, problem string, args ...any) {
	source := c.sources[key]
	if source == "" {
		source = "default"
	}
	c.errs = append(c.errs, &Error{Key: key, Source: source, Problem: fmt.Sprintf(problem, args...), Remedy: remedy})
}

func (c *checker) between(key string, value, low, high int) {
	if value < low || value > high {
		c.fail(key, fmt.Sprintf("give a number from %d to %d", low, high), "%d is out of range", value)
	}
}

func (c *checker) lasting(key string, value, low, high time.Duration) {
	if value < low || value > high {
		c.fail(key, fmt.Sprintf("give a duration from %v to %v", low, high), "%v is out of range", value)
	}
}

func (c *checker) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fail(key, "use one of "+strings.Join(allowed, ", "), "%q is not known", value)
	}
}

func (c *checker) address(key, value string) {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		c.fail(key, "give host:port, or :port for all interfaces", "%q is no address", value)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		c.fail(key, "give a port from 0 to 65535 (0 = any free one)", "port %q is out of range", port)
	}
}

// validate checks what the types cannot say.
func (l *loader) validate() error {
	c := &checker{sources: l.sources}
	l.cfg.checkServer(c)
	l.cfg.checkLimits(c)
	l.cfg.checkTimes(c)
	l.cfg.checkPresence(c)
	l.cfg.checkClients(c)
	l.cfg.checkAuth(c)
	l.cfg.checkHooks(c)
	l.cfg.checkBroker(c)
	l.cfg.checkDrain(c)
	return errors.Join(c.errs...)
}

func (cfg *Config) checkServer(c *checker) {
	if len(cfg.NodeName) > 253 || strings.ContainsFunc(cfg.NodeName, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.fail(contract.KeyNodeName, "use at most 253 printable ASCII characters without spaces", "%q cannot be sent in a header", cfg.NodeName)
	}
	c.address(contract.KeyListen, cfg.Listen)
	c.address(contract.KeyAdminListen, cfg.AdminListen)
	if cfg.Listen == cfg.AdminListen && !strings.HasSuffix(cfg.Listen, ":0") {
		c.fail(contract.KeyAdminListen, "give it another port than "+contract.KeyListen, "%q is already the public address", cfg.AdminListen)
	}
	c.oneOf(contract.KeyLogLevel, cfg.LogLevel, "debug", "info", "warn", "error")
	c.oneOf(contract.KeyLogFormat, cfg.LogFormat, "text", "json")
}

func (cfg *Config) checkLimits(c *checker) {
	c.between(contract.KeyMaxConnections, cfg.MaxConnections, 1, mostConnections)
	c.between(contract.KeyMaxConnectionsPerIP, cfg.MaxConnectionsPerIP, 0, mostConnections)
	c.between(contract.KeyMaxConnectionsPerUser, cfg.MaxConnectionsPerUser, 0, mostConnections)
	c.between(contract.KeyConnectRate, cfg.ConnectRate, 0, mostRate)
	c.between(contract.KeyMessageRate, cfg.MessageRate, 0, mostRate)
	c.between(contract.KeyMaxMessageBytes, cfg.MaxMessageBytes, 1, mostMessageBytes)
	c.between(contract.KeyMaxQueuedBytes, cfg.MaxQueuedBytes, 1, mostQueuedBytes)
	if least := int64(cfg.MaxQueuedBytes); cfg.MaxTotalQueuedBytes < least || cfg.MaxTotalQueuedBytes > mostTotalBytes {
		c.fail(contract.KeyMaxTotalQueuedBytes, fmt.Sprintf("give a number from %d, which is %s, to %d", least, contract.KeyMaxQueuedBytes, mostTotalBytes), "%d is out of range", cfg.MaxTotalQueuedBytes)
	}
	c.between(contract.KeyMaxChannelsPerConnection, cfg.MaxChannelsPerConnection, 1, mostChannels)
}

func (cfg *Config) checkTimes(c *checker) {
	c.lasting(contract.KeyHandshakeTimeout, cfg.HandshakeTimeout, time.Second, longestHandshake)
	c.lasting(contract.KeyConnectTimeout, cfg.ConnectTimeout, time.Second, longestHandshake)
	c.lasting(contract.KeyPingInterval, cfg.PingInterval, time.Second, longestPing)
	c.lasting(contract.KeyPongTimeout, cfg.PongTimeout, time.Millisecond, longestPing)
	if cfg.PongTimeout >= cfg.PingInterval {
		c.fail(contract.KeyPongTimeout, "make it shorter than "+contract.KeyPingInterval, "%v is not less than %s %v", cfg.PongTimeout, contract.KeyPingInterval, cfg.PingInterval)
	}
}

func (cfg *Config) checkPresence(c *checker) {
	c.lasting(contract.KeyPresenceTTL, cfg.PresenceTTL, leastPresence, longestPresence)
	c.lasting(contract.KeyPresenceGrace, cfg.PresenceGrace, 0, longestGrace)
	if cfg.PresenceGrace >= cfg.PresenceTTL {
		c.fail(contract.KeyPresenceGrace, "make it shorter than "+contract.KeyPresenceTTL, "%v is not less than %s %v", cfg.PresenceGrace, contract.KeyPresenceTTL, cfg.PresenceTTL)
	}
}

func (cfg *Config) checkClients(c *checker) {
	if err := cfg.Channels.Check(); err != nil {
		problem := strings.ReplaceAll(err.Error(), "\n", ", ")
		c.fail(contract.KeyChannels, "write rules like "+ruleExample+", each pattern once; "+ruleWords, "%s", problem)
	}
	if cfg.TLSCertFile == "" && cfg.TLSKeyFile != "" {
		c.fail(contract.KeyTLSCertFile, "name the certificate of "+contract.KeyTLSKeyFile+", or leave both out", "is empty, but %s is not", contract.KeyTLSKeyFile)
	}
	if cfg.TLSCertFile != "" && cfg.TLSKeyFile == "" {
		c.fail(contract.KeyTLSKeyFile, "name the key of "+contract.KeyTLSCertFile+", or leave both out", "is empty, but %s is not", contract.KeyTLSCertFile)
	}
	if _, err := transport.ParseOrigins(cfg.AllowedOrigins); err != nil {
		c.fail(contract.KeyAllowedOrigins, "write scheme://host[:port], scheme://*.domain, or *", "%v", err)
	}
	if _, err := transport.ParseProxies(cfg.TrustedProxies); err != nil {
		c.fail(contract.KeyTrustedProxies, "write networks like 10.0.0.0/8 or single addresses", "%v", err)
	}
	if cfg.AffinityCookie != "" {
		cookie := http.Cookie{Name: cfg.AffinityCookie, Path: "/"}
		if err := cookie.Valid(); err != nil {
			c.fail(contract.KeyAffinityCookie, "use letters, digits, - and _", "%q is no cookie name", cfg.AffinityCookie)
		}
	}
	cookie := http.Cookie{Name: "x", Path: cfg.AffinityCookiePath}
	if !strings.HasPrefix(cfg.AffinityCookiePath, "/") || cookie.Valid() != nil {
		c.fail(contract.KeyAffinityCookiePath, "begin it with /", "%q is no cookie path", cfg.AffinityCookiePath)
	}
}

func (cfg *Config) checkBroker(c *checker) {
	c.oneOf(contract.KeyBroker, cfg.Broker, contract.BrokerMemory, contract.BrokerRedis)
	c.oneOf(contract.KeyRedisMode, cfg.RedisMode, contract.RedisStandalone, contract.RedisSentinel, contract.RedisCluster)
	if cfg.Broker != contract.BrokerRedis {
		return
	}
	if len(cfg.RedisAddresses) == 0 {
		c.fail(contract.KeyRedisAddresses, "give at least one host:port, or set "+contract.KeyBroker+" to "+contract.BrokerMemory, "is empty, but %s is %s", contract.KeyBroker, contract.BrokerRedis)
	}
	for _, address := range cfg.RedisAddresses {
		if strings.Contains(address, "@") {
			// Not repeated here: it goes to the log, and holds a password.
			c.fail(contract.KeyRedisAddresses, "write host:port, and set "+contract.KeyRedisUsername+" and "+contract.KeyRedisPassword, "an address holds credentials")
			continue
		}
		host, port, err := net.SplitHostPort(address)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || host == "" || n < 1 || n > 65535 {
			c.fail(contract.KeyRedisAddresses, "write host:port", "%q is no address", address)
		}
	}
	if cfg.RedisMode == contract.RedisStandalone && len(cfg.RedisAddresses) > 1 {
		c.fail(contract.KeyRedisAddresses, "give one address, or set "+contract.KeyRedisMode+" to sentinel or cluster", "%d addresses for a standalone Redis", len(cfg.RedisAddresses))
	}
	if cfg.RedisMode == contract.RedisSentinel && cfg.RedisMasterName == "" {
		c.fail(contract.KeyRedisMasterName, "name the master as in `sentinel monitor NAME ...`", "is empty, but %s is %s", contract.KeyRedisMode, contract.RedisSentinel)
	}
	if strings.ContainsFunc(cfg.RedisPrefix, func(r rune) bool { return r <= ' ' }) {
		c.fail(contract.KeyRedisPrefix, "leave spaces and control characters out", "%q is no prefix", cfg.RedisPrefix)
	}
}

func (cfg *Config) checkDrain(c *checker) {
	c.lasting(contract.KeyDrainTimeout, cfg.DrainTimeout, 0, longestDrain)
	c.lasting(contract.KeyDrainPropagationDelay, cfg.DrainPropagationDelay, 0, longestDrain)
	c.between(contract.KeyDrainMaxClosesPerSecond, cfg.DrainMaxClosesPerSecond, 0, mostCloses)
	if cfg.DrainTimeout > 0 && cfg.DrainPropagationDelay >= cfg.DrainTimeout {
		c.fail(contract.KeyDrainPropagationDelay, "make it shorter than "+contract.KeyDrainTimeout, "%v is not less than %s %v", cfg.DrainPropagationDelay, contract.KeyDrainTimeout, cfg.DrainTimeout)
	}
}
