// Package config turns a file, the environment and the command line into one checked Config. Each
// key is declared once, in schema.go: the flag, the file's key, the variable and the help text all
// come from that declaration, so they cannot disagree.
package config

import (
	"time"

	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Config is everything that an operator of a gateway can set. Load returns it checked.
type Config struct {
	NodeName    string
	Listen      string
	AdminListen string
	// AdminTokenDir holds the bearer tokens of the admin port. Empty: loopback peers only.
	AdminTokenDir string
	LogLevel      string
	LogFormat     string

	MaxConnections           int
	MaxConnectionsPerIP      int
	MaxConnectionsPerUser    int
	ConnectRate              int
	MaxMessageBytes          int
	MessageRate              int
	MaxQueuedBytes           int
	MaxTotalQueuedBytes      int64
	MaxChannelsPerConnection int
	HandshakeTimeout         time.Duration
	ConnectTimeout           time.Duration
	PingInterval             time.Duration
	PongTimeout              time.Duration

	Compression bool
	Channels    channel.Rules

	// PresenceTTL is how long a member of a channel outlives its gateway, PresenceGrace how long it
	// outlives its connection in case its user comes back.
	PresenceTTL   time.Duration
	PresenceGrace time.Duration

	// TLSCertFile and TLSKeyFile are both set or both empty: without them the public port speaks
	// plain TCP.
	TLSCertFile string
	TLSKeyFile  string

	AllowedOrigins     []string
	TrustedProxies     []string
	AffinityCookie     string
	AffinityCookiePath string

	// Anonymous lets clients in that have no token.
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

	HookConnectURL        string
	HookConnectWhenDown   string
	HookSubscribeURL      string
	HookSubscribeWhenDown string
	HookPublishURL        string
	HookPublishWhenDown   string
	HookRPCURL            string
	HookTimeout           time.Duration
	// HookSecret signs what hooks and the webhook are sent.
	HookSecret         string
	HookForwardHeaders []string
	WebhookURL         string
	// WebhookEvents is empty for all of them.
	WebhookEvents []string

	Broker          string
	RedisMode       string
	RedisAddresses  []string
	RedisMasterName string
	RedisUsername   string
	RedisPassword   string
	RedisPrefix     string

	DrainTimeout            time.Duration
	DrainPropagationDelay   time.Duration
	DrainMaxClosesPerSecond int
}

// Default is the configuration of a gateway that was told nothing: one process, no Redis.
func Default() Config {
	return Config{
		Listen:                   ":8080",
		AdminListen:              ":9090",
		LogLevel:                 "info",
		LogFormat:                "text",
		MaxConnections:           10_000,
		ConnectRate:              500,
		MaxMessageBytes:          64 << 10,
		MessageRate:              100,
		MaxQueuedBytes:           1 << 20,
		MaxTotalQueuedBytes:      256 << 20,
		MaxChannelsPerConnection: 128,
		HandshakeTimeout:         10 * time.Second,
		ConnectTimeout:           10 * time.Second,
		PingInterval:             25 * time.Second,
		PongTimeout:              8 * time.Second,
		PresenceTTL:              time.Minute,
		PresenceGrace:            15 * time.Second,
		AffinityCookiePath:       "/",
		Anonymous:                true,
		HookConnectWhenDown:      contract.HookRefuse,
		HookSubscribeWhenDown:    contract.HookRefuse,
		HookPublishWhenDown:      contract.HookRefuse,
		HookTimeout:              time.Second,
		Broker:                   contract.BrokerMemory,
		RedisMode:                contract.RedisStandalone,
		RedisPrefix:              "wsfleet:",
		DrainTimeout:             5 * time.Minute,
		DrainPropagationDelay:    10 * time.Second,
	}
}
