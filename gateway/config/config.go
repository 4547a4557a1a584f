// Package config turns a file, the environment and the command line into one checked Config. Each key is declared once,
// in settings.go: the flag, the key of the file, the environment variable, the default, the bounds and the help come
// from that declaration, so they cannot disagree. cmd/gateway loads it, package gateway uses it.
package config

import (
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Config is everything that can be configured in a gateway. Load returns it checked. The help texts in settings.go
// explain each field.
type Config struct {
	NodeName      string
	Listen        string
	AdminListen   string
	AdminTokenDir string
	// LogLevel is a name of package loglevel.
	LogLevel string
	// LogFormat is text or json.
	LogFormat string

	// MaxConnections and the two fields after it are numbers of connections. 0 is no limit for the latter two.
	MaxConnections        int
	MaxConnectionsPerIP   int
	MaxConnectionsPerUser int
	// ConnectionsPerUserPolicy is contract.PerUserCloseOldest or contract.PerUserRefuse.
	ConnectionsPerUserPolicy string
	// ConnectRate is in connections per second. 0 is no limit.
	ConnectRate     int
	MaxMessageBytes int
	// MessageRate is in messages per second and connection. 0 is no limit.
	MessageRate              int
	MaxQueuedBytes           int
	MaxTotalQueuedBytes      int64
	MaxChannelsPerConnection int
	HandshakeTimeout         time.Duration
	RefusalDelay             time.Duration
	ConnectTimeout           time.Duration
	PingInterval             time.Duration
	PongTimeout              time.Duration

	Compression      bool
	Channels         channel.Rules
	PersonalChannels bool
	PresenceTTL      time.Duration
	PresenceGrace    time.Duration

	// TLSCertFile and TLSKeyFile are both set or both empty. When they are empty, the public port has no TLS.
	TLSCertFile string
	TLSKeyFile  string

	PublicHealth    bool
	HTTPIdleTimeout time.Duration

	AllowedOrigins []string
	OriginAnyPort  bool
	TrustedProxies []string
	// ProxyProtocol is one of contract.ProxyProtocolDisabled, ProxyProtocolOptional and ProxyProtocolRequired.
	ProxyProtocol      string
	AffinityCookie     string
	AffinityCookiePath string
	// AffinityCookieValue may contain contract.AffinityName. AffinityValue returns it with the gateway's name.
	AffinityCookieValue string

	Anonymous bool
	// JWTKey and JWKSURL are not both set. JWTPreviousKey is valid beside JWTKey.
	JWTKey         string
	JWTPreviousKey string
	JWKSURL        string
	JWTIssuer      string
	JWTAudience    string
	// APIKey and APIPreviousKey are both valid.
	APIKey         string
	APIPreviousKey string

	// HookConnectURL and the other URLs are empty for hooks that are not called. The fields that end in WhenDown are
	// contract.HookRefuse or contract.HookAllow.
	HookConnectURL        string
	HookConnectWhenDown   string
	HookSubscribeURL      string
	HookSubscribeWhenDown string
	HookPublishURL        string
	HookPublishWhenDown   string
	HookRPCURL            string
	HookRefreshURL        string
	HookSubRefreshURL     string
	HookTimeout           time.Duration
	// HookSecret is one secret, or two with a space between them.
	HookSecret         string
	HookForwardHeaders []string
	WebhookURL         string
	// WebhookEvents is empty for all events.
	WebhookEvents []string

	// Broker is contract.BrokerMemory or contract.BrokerRedis. The fields that begin with Redis matter for the latter.
	Broker          string
	RedisMode       string
	RedisAddresses  []string
	RedisMasterName string
	RedisUsername   string
	RedisPassword   string
	RedisPrefix     string

	DrainTimeout          time.Duration
	DrainPropagationDelay time.Duration
	// DrainMaxClosesPerSecond is 0 when DrainTimeout alone decides.
	DrainMaxClosesPerSecond int
	// DrainCloseCode is the code of the close frame that a drain sends to plain clients.
	DrainCloseCode int
}

// AffinityValue returns the value of the affinity cookie that the gateway sets. It is empty when the proxies set it.
func (cfg *Config) AffinityValue() string {
	return strings.ReplaceAll(cfg.AffinityCookieValue, contract.AffinityName, cfg.NodeName)
}
