package config

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// inEnvironment is the advice for secrets.
const inEnvironment = "Better in the environment than on the command line"

// Flags returns the schema as a flag set of defaults, for a command to parse and to show as help.
func Flags() *pflag.FlagSet {
	cfg := Default()
	return schema(&cfg)
}

// schema declares every key, its type, default and meaning, and binds it to c.
func schema(c *Config) *pflag.FlagSet {
	fs := pflag.NewFlagSet("wsfleet-gateway", pflag.ContinueOnError)
	fs.SortFlags = false

	fs.String(contract.KeyConfig, "", "configuration `file` (YAML; keys are the names of these flags). Unset: "+contract.ConfigFile+" where it exists")
	fs.StringVar(&c.NodeName, contract.KeyNodeName, c.NodeName, "`name` of this gateway in reports and in the "+contract.HeaderNode+" header. Unset: the host name")
	fs.StringVar(&c.Listen, contract.KeyListen, c.Listen, "`address` of the public port, host:port")
	fs.StringVar(&c.AdminListen, contract.KeyAdminListen, c.AdminListen, "`address` of the private port (health, metrics, drain), host:port")
	fs.StringVar(&c.AdminTokenDir, contract.KeyAdminTokenDir, c.AdminTokenDir, "`directory` whose files each hold one bearer token for the private port. Unset: "+contract.PathFleet+", "+contract.PathDrain+", "+contract.PathUndrain+" and "+contract.PathConnections+" answer loopback only")
	fs.StringVar(&c.LogLevel, contract.KeyLogLevel, c.LogLevel, "least `level` to log: debug, info, warn, error")
	fs.StringVar(&c.LogFormat, contract.KeyLogFormat, c.LogFormat, "`format` of the log: text, json")

	fs.IntVar(&c.MaxConnections, contract.KeyMaxConnections, c.MaxConnections, "connections that this gateway holds at most, a `count`; above it a handshake is answered 503")
	fs.IntVar(&c.MaxConnectionsPerIP, contract.KeyMaxConnectionsPerIP, c.MaxConnectionsPerIP, "connections from one client IP at most, a `count`; above it a handshake is answered 429; 0 = no limit")
	fs.IntVar(&c.MaxConnectionsPerUser, contract.KeyMaxConnectionsPerUser, c.MaxConnectionsPerUser, "connections of one user at most, a `count`; 0 = no limit")
	fs.IntVar(&c.ConnectRate, contract.KeyConnectRate, c.ConnectRate, "new connections per second, a `count`; above it a handshake is answered 503; 0 = no limit")
	fs.IntVar(&c.MaxMessageBytes, contract.KeyMaxMessageBytes, c.MaxMessageBytes, "largest message that a client or the server API may send, in `bytes`")
	fs.IntVar(&c.MessageRate, contract.KeyMessageRate, c.MessageRate, "messages per second from one connection, a `count`; who sends more is disconnected; 0 = no limit")
	fs.IntVar(&c.MaxQueuedBytes, contract.KeyMaxQueuedBytes, c.MaxQueuedBytes, "`bytes` that may wait for one connection; a client too slow for that is disconnected")
	fs.Int64Var(&c.MaxTotalQueuedBytes, contract.KeyMaxTotalQueuedBytes, c.MaxTotalQueuedBytes, "`bytes` that may wait for all connections together; when they do, slow clients are treated as if their own queues were full; at least "+contract.KeyMaxQueuedBytes)
	fs.IntVar(&c.MaxChannelsPerConnection, contract.KeyMaxChannelsPerConnection, c.MaxChannelsPerConnection, "channels that one connection may subscribe to, a `count`")
	fs.DurationVar(&c.HandshakeTimeout, contract.KeyHandshakeTimeout, c.HandshakeTimeout, "`time` in which a client's request must be complete, like 10s")
	fs.DurationVar(&c.ConnectTimeout, contract.KeyConnectTimeout, c.ConnectTimeout, "`time` that a Centrifuge client has for its connect command, like 10s")
	fs.DurationVar(&c.PingInterval, contract.KeyPingInterval, c.PingInterval, "`time` between two pings to a client, like 25s")
	fs.DurationVar(&c.PongTimeout, contract.KeyPongTimeout, c.PongTimeout, "`time` that a client has to answer a ping, like 8s; less than "+contract.KeyPingInterval)
	fs.BoolVar(&c.Compression, contract.KeyCompression, c.Compression, "compress messages for clients that offer it (permessage-deflate), which costs processor time")
	fs.Var((*ruleList)(&c.Channels), contract.KeyChannels, "`rules` of channels, the first whose pattern matches wins; as JSON: "+ruleExample+"; "+ruleWords)
	fs.DurationVar(&c.PresenceTTL, contract.KeyPresenceTTL, c.PresenceTTL, "`time` after which the members of a gateway that was killed are gone from their channels, like 60s")
	fs.DurationVar(&c.PresenceGrace, contract.KeyPresenceGrace, c.PresenceGrace, "`time` that a user whose connection is gone stays a member of its channels, in case it comes back, like 15s; less than "+contract.KeyPresenceTTL+"; 0 = it leaves at once")

	fs.StringVar(&c.TLSCertFile, contract.KeyTLSCertFile, c.TLSCertFile, "PEM `file` of the public port's certificate chain, read again when it changes; needs "+contract.KeyTLSKeyFile+". Unset: no TLS")
	fs.StringVar(&c.TLSKeyFile, contract.KeyTLSKeyFile, c.TLSKeyFile, "PEM `file` of that certificate's private key")
	fs.StringSliceVar(&c.AllowedOrigins, contract.KeyAllowedOrigins, c.AllowedOrigins, "`origins` that browsers may connect from besides the gateway's own: https://app.example.com, https://*.example.com, or * for all")
	fs.StringSliceVar(&c.TrustedProxies, contract.KeyTrustedProxies, c.TrustedProxies, "`networks` of proxies whose X-Forwarded-For is believed, like 10.0.0.0/8")
	fs.StringVar(&c.AffinityCookie, contract.KeyAffinityCookie, c.AffinityCookie, "`name` of the proxy's affinity cookie, which a draining gateway expires. Unset: none")
	fs.StringVar(&c.AffinityCookiePath, contract.KeyAffinityCookiePath, c.AffinityCookiePath, "`path` of that cookie")
	authKeys(fs, c)
	hookKeys(fs, c)

	fs.StringVar(&c.Broker, contract.KeyBroker, c.Broker, "`what` carries messages between gateways: memory (this process only), redis")
	fs.StringVar(&c.RedisMode, contract.KeyRedisMode, c.RedisMode, "`kind` of Redis: standalone, sentinel, cluster")
	fs.StringSliceVar(&c.RedisAddresses, contract.KeyRedisAddresses, c.RedisAddresses, "host:port `addresses` of Redis, of the sentinels, or of some cluster nodes")
	fs.StringVar(&c.RedisMasterName, contract.KeyRedisMasterName, c.RedisMasterName, "`name` of the master that the sentinels watch; needed by sentinel only")
	fs.StringVar(&c.RedisUsername, contract.KeyRedisUsername, c.RedisUsername, "Redis ACL `user`. Unset: the default user")
	fs.StringVar(&c.RedisPassword, contract.KeyRedisPassword, c.RedisPassword, "Redis `password`. "+inEnvironment)
	fs.StringVar(&c.RedisPrefix, contract.KeyRedisPrefix, c.RedisPrefix, "`prefix` of all names used in Redis; gateways that share it share their channels")

	fs.DurationVar(&c.DrainTimeout, contract.KeyDrainTimeout, c.DrainTimeout, "`time` in which a drain closes all connections, like 5m; 0 = all at once")
	fs.DurationVar(&c.DrainPropagationDelay, contract.KeyDrainPropagationDelay, c.DrainPropagationDelay, "`time` that a draining gateway still accepts clients, because load balancers still send them, like 10s")
	fs.IntVar(&c.DrainMaxClosesPerSecond, contract.KeyDrainMaxClosesPerSecond, c.DrainMaxClosesPerSecond, "connections that a drain closes per second at most, a `count`; 0 = as the drain timeout asks")
	return fs
}

// authKeys declares who is let in, and who may call the server API.
func authKeys(fs *pflag.FlagSet, c *Config) {
	fs.BoolVar(&c.Anonymous, contract.KeyAnonymous, c.Anonymous, "let clients in that have no token; false needs "+contract.KeyJWTKey+", "+contract.KeyJWTJWKSURL+" or "+contract.KeyHookConnectURL)
	fs.StringVar(&c.JWTKey, contract.KeyJWTKey, c.JWTKey, "`key` that clients' tokens are signed with: a shared one of at least "+strconv.Itoa(contract.MinJWTKeyBytes)+" bytes, or a public one in PEM. Unset: with "+contract.KeyJWTJWKSURL+" unset too, no token is taken. "+inEnvironment)
	fs.StringVar(&c.JWTPreviousKey, contract.KeyJWTPreviousKey, c.JWTPreviousKey, "the `key` before "+contract.KeyJWTKey+", whose tokens are good until they expire. "+inEnvironment)
	fs.StringVar(&c.JWKSURL, contract.KeyJWTJWKSURL, c.JWKSURL, "`URL` of the key set (JWKS) that clients' tokens are signed with, instead of "+contract.KeyJWTKey)
	fs.StringVar(&c.JWTIssuer, contract.KeyJWTIssuer, c.JWTIssuer, "`issuer` (iss) that tokens must name. Unset: any")
	fs.StringVar(&c.JWTAudience, contract.KeyJWTAudience, c.JWTAudience, "`audience` (aud) that tokens must name. Unset: any")
	fs.StringVar(&c.APIKey, contract.KeyAPIKey, c.APIKey, "`key` that backends send as X-API-Key to "+contract.PathAPI+". Unset: the server API refuses. "+inEnvironment)
	fs.StringVar(&c.APIPreviousKey, contract.KeyAPIPreviousKey, c.APIPreviousKey, "the `key` before "+contract.KeyAPIKey+", which is taken too. "+inEnvironment)
}

// hookKeys declares the backends that are asked and told.
func hookKeys(fs *pflag.FlagSet, c *Config) {
	fs.StringVar(&c.HookConnectURL, contract.KeyHookConnectURL, c.HookConnectURL, "`URL` of the backend that is asked whether a client may connect. Unset: nobody is asked")
	fs.StringVar(&c.HookConnectWhenDown, contract.KeyHookConnectWhenDown, c.HookConnectWhenDown, "`what` holds for clients that connect while that backend does not answer: "+hookAnswers)
	fs.StringVar(&c.HookSubscribeURL, contract.KeyHookSubscribeURL, c.HookSubscribeURL, "`URL` of the backend that is asked whether a client may subscribe to a channel. Unset: nobody is asked")
	fs.StringVar(&c.HookSubscribeWhenDown, contract.KeyHookSubscribeWhenDown, c.HookSubscribeWhenDown, "`what` holds for clients that subscribe while that backend does not answer: "+hookAnswers)
	fs.StringVar(&c.HookPublishURL, contract.KeyHookPublishURL, c.HookPublishURL, "`URL` of the backend that is asked whether a client may publish a message. Unset: nobody is asked")
	fs.StringVar(&c.HookPublishWhenDown, contract.KeyHookPublishWhenDown, c.HookPublishWhenDown, "`what` holds for clients that publish while that backend does not answer: "+hookAnswers)
	fs.StringVar(&c.HookRPCURL, contract.KeyHookRPCURL, c.HookRPCURL, "`URL` of the backend that answers the calls (rpc) of clients. Unset: calls are refused")
	fs.DurationVar(&c.HookTimeout, contract.KeyHookTimeout, c.HookTimeout, "`time` that a backend has to answer a hook, like 1s")
	fs.StringVar(&c.HookSecret, contract.KeyHookSecret, c.HookSecret, "`secret` that hooks and the webhook are signed with, like whsec_ and 32 random bytes in base64; two with a space between them while they change. Unset: they are not signed. "+inEnvironment)
	fs.StringSliceVar(&c.HookForwardHeaders, contract.KeyHookForwardHeaders, c.HookForwardHeaders, "`headers` of a client's request that "+contract.KeyHookConnectURL+" gets too, like Cookie,X-Request-Id")
	fs.StringVar(&c.WebhookURL, contract.KeyWebhookURL, c.WebhookURL, "`URL` of the backend that is told of events. Unset: nobody is told")
	fs.StringSliceVar(&c.WebhookEvents, contract.KeyWebhookEvents, c.WebhookEvents, "`events` that it is told of: "+strings.Join(webhookEvents(), ", ")+". Unset: all")
}

// secret reports whether a key's value must not be shown.
func secret(key string) bool {
	switch key {
	case contract.KeyJWTKey, contract.KeyJWTPreviousKey, contract.KeyAPIKey, contract.KeyAPIPreviousKey,
		contract.KeyHookSecret, contract.KeyRedisPassword:
		return true
	default:
		return false
	}
}
