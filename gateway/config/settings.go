package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/loglevel"
)

// A new setting is declared here, in one of the functions below, and has a field in Config and a key in contract.
// The flag, the key of the file, the environment variable, the default, the bounds and the help come from here.

// Bounds that several keys share. They keep a typing mistake from becoming an outage.
const (
	maxConnections  = 10_000_000
	maxPerSecond    = 1_000_000
	maxMessageBytes = 64 << 20
	maxQueuedBytes  = 1 << 30
	maxTotalBytes   = int64(1) << 40
	maxHandshake    = 10 * time.Minute
	maxDrain        = 24 * time.Hour
)

// serverSettings declares the ports and the log.
func serverSettings(s *schema, c *Config) {
	var file string
	s.text(&file, contract.KeyConfig, "", "The configuration `file`, in YAML. Its keys are the names of these flags. "+
		"When it is not set, "+contract.ConfigFile+" is read if it exists.")
	s.text(&c.NodeName, contract.KeyNodeName, "", "The `name` of this gateway in reports and in the response header "+
		contract.HeaderNode+". When it is not set, the name of the host is used.")
	s.address(&c.Listen, contract.KeyListen, ":8080", "The `address` of the public port, host:port.")
	s.address(&c.AdminListen, contract.KeyAdminListen, ":9090",
		"The `address` of the private port (health, metrics, drain), host:port.")
	s.text(&c.AdminTokenDir, contract.KeyAdminTokenDir, "", "The `directory` whose files each hold one bearer token for "+
		"the private port. When it is not set, the private port answers only callers on loopback, "+
		"except for health, metrics and the console's files.")
	s.choice(&c.LogLevel, contract.KeyLogLevel, loglevel.Info, loglevel.Names(), "The lowest `level` that is logged.")
	s.choice(&c.LogFormat, contract.KeyLogFormat, "text", []string{"text", "json"}, "The `format` of the log.")
}

// limitSettings declares how much clients may use.
func limitSettings(s *schema, c *Config) {
	s.number(&c.MaxConnections, contract.KeyMaxConnections, 10_000, within(1, maxConnections),
		"The maximum `number` of connections that this gateway holds. A full gateway answers handshakes with 503 and "+
			"Retry-After.")
	s.number(&c.MaxConnectionsPerIP, contract.KeyMaxConnectionsPerIP, 0, within(0, maxConnections),
		"The maximum `number` of connections from one client address. Handshakes above it are answered with 429. "+
			"0 means no limit.")
	s.number(&c.MaxConnectionsPerUser, contract.KeyMaxConnectionsPerUser, 0, within(0, maxConnections),
		"The maximum `number` of connections of one user to this gateway. 0 means no limit.")
	policies := []string{contract.PerUserCloseOldest, contract.PerUserRefuse}
	s.choice(&c.ConnectionsPerUserPolicy, contract.KeyConnectionsPerUserPolicy, contract.PerUserCloseOldest,
		policies, "The `policy` for a user that has "+contract.KeyMaxConnectionsPerUser+" connections and connects once "+
			"more. "+contract.PerUserCloseOldest+" closes the oldest, "+contract.PerUserRefuse+
			" refuses the new one, which may come back.")
	s.number(&c.ConnectRate, contract.KeyConnectRate, 500, within(0, maxPerSecond),
		"The maximum `number` of new connections per second. Handshakes above it are answered with 503 and Retry-After. "+
			"0 means no limit.")
	s.number(&c.MaxMessageBytes, contract.KeyMaxMessageBytes, 64<<10, within(1, maxMessageBytes),
		"The maximum size in `bytes` of a message from a client or from the server API, and of each command in a "+
			"Centrifuge frame.")
	s.number(&c.MessageRate, contract.KeyMessageRate, 100, within(0, maxPerSecond),
		"The maximum `number` of messages per second from one connection. A client that sends more is disconnected. "+
			"0 means no limit.")
	s.number(&c.MaxQueuedBytes, contract.KeyMaxQueuedBytes, 1<<20, within(1, maxQueuedBytes),
		"The maximum size in `bytes` of the messages that wait for one client. A client that is too slow for that is "+
			"disconnected or loses messages, as the rule of the channel says.")
	s.total(&c.MaxTotalQueuedBytes, contract.KeyMaxTotalQueuedBytes, 256<<20,
		"The maximum size in `bytes` of the messages that wait for all clients together. At the maximum, every slow client "+
			"is treated as if its own queue were full. Large messages that clients send may take half of it. At least "+
			contract.KeyMaxQueuedBytes+".")
	s.number(&c.MaxChannelsPerConnection, contract.KeyMaxChannelsPerConnection, 128, within(1, 100_000),
		"The maximum `number` of channels that one connection may subscribe to.")
}

// timeoutSettings declares how long clients may take.
func timeoutSettings(s *schema, c *Config) {
	handshake := within(time.Second, maxHandshake)
	s.duration(&c.HandshakeTimeout, contract.KeyHandshakeTimeout, 10*time.Second, handshake,
		"The maximum `time` until the request of a client is complete.")
	s.duration(&c.RefusalDelay, contract.KeyRefusalDelay, 3*time.Second, within(0, 10*time.Second),
		"The longest `time` for which a client is kept waiting for the answer that it cannot connect for now. Half of it is "+
			"the shortest. 0 answers at once, and clients that reconnect without a pause are refused again and again.")
	s.duration(&c.ConnectTimeout, contract.KeyConnectTimeout, 10*time.Second, handshake,
		"The maximum `time` until a Centrifuge client has sent its connect command.")
	s.duration(&c.PingInterval, contract.KeyPingInterval, 25*time.Second, within(time.Second, time.Hour),
		"The `time` between two pings to a client.")
	s.duration(&c.PongTimeout, contract.KeyPongTimeout, 8*time.Second, within(time.Millisecond, time.Hour),
		"The maximum `time` until a client has answered a ping. Less than "+contract.KeyPingInterval+".")
}

// channelSettings declares how messages and channels are handled.
func channelSettings(s *schema, c *Config) {
	s.toggle(&c.Compression, contract.KeyCompression, false,
		"Compress messages for clients that offer permessage-deflate. This costs CPU time.")
	s.rules(&c.Channels, contract.KeyChannels, "The `rules` of channels, as JSON. The first rule whose pattern matches "+
		"the name of a channel applies. For example: "+ruleExample+". "+ruleValues+".")
	s.toggle(&c.PersonalChannels, contract.KeyPersonalChannels, false, "Subscribe each client that has a user to the "+
		"user's personal channel, #USER, and let only the users behind the last # of a channel's name subscribe to it.")
	s.duration(&c.PresenceTTL, contract.KeyPresenceTTL, time.Minute, within(5*time.Second, time.Hour),
		"The `time` after which the members of a gateway that was killed are removed from their channels.")
	s.duration(&c.PresenceGrace, contract.KeyPresenceGrace, 15*time.Second, within(0, 5*time.Minute),
		"The `time` that a user stays a member of its channels after its connection was lost, so that a user who reconnects "+
			"is never absent. Less than "+contract.KeyPresenceTTL+". 0 removes the user at once.")
}

// publicPortSettings declares what stands in front of the public port: TLS, browsers and proxies.
func publicPortSettings(s *schema, c *Config) {
	s.text(&c.TLSCertFile, contract.KeyTLSCertFile, "", "The PEM `file` with the certificate chain of the public port. "+
		"The gateway reads it again when it changes. Needs "+contract.KeyTLSKeyFile+
		". When it is not set, the port has no TLS.")
	s.text(&c.TLSKeyFile, contract.KeyTLSKeyFile, "", "The PEM `file` with the private key of that certificate.")
	s.toggle(&c.PublicHealth, contract.KeyPublicHealth, false, "Answer "+contract.PathLivez+" and "+contract.PathReadyz+
		" on the public port too, for load balancers that check the port that they send clients to.")
	s.duration(&c.HTTPIdleTimeout, contract.KeyHTTPIdleTimeout, 75*time.Second, within(time.Second, time.Hour),
		"The maximum `time` that an HTTP connection to the public port may be without a request. Longer than the load "+
			"balancer's, which otherwise sends a request to a connection that is being closed.")
	s.list(&c.AllowedOrigins, contract.KeyAllowedOrigins, "The `origins` that browsers may connect from, besides the "+
		"gateway's own: https://app.example.com, https://*.example.com, or * for all.")
	s.toggle(&c.OriginAnyPort, contract.KeyOriginAnyPort, false, "Allow pages of the gateway's own host on every port "+
		"when the Host header has no port, for a proxy that removes it.")
	s.list(&c.TrustedProxies, contract.KeyTrustedProxies,
		"The `networks` of proxies whose X-Forwarded-For or Forwarded header the gateway believes, like 10.0.0.0/8.")
	s.choice(&c.ProxyProtocol, contract.KeyProxyProtocol, contract.ProxyProtocolDisabled, proxyProtocols(),
		"The `mode` of the PROXY protocol, versions 1 and 2, on connections of "+contract.KeyTrustedProxies+". "+
			"Disabled refuses its headers, Optional reads them, and Required refuses connections without one. "+
			"Connections from elsewhere may never have one.")
	s.text(&c.AffinityCookie, contract.KeyAffinityCookie, "",
		"The `name` of the proxy's affinity cookie, which a gateway that drains or is full expires. "+
			"When it is not set, no cookie is expired.")
	s.text(&c.AffinityCookiePath, contract.KeyAffinityCookiePath, "/", "The `path` of that cookie.")
	s.text(&c.AffinityCookieValue, contract.KeyAffinityCookieValue, "", "The `value` of that cookie, which the gateway "+
		"then sets itself when it accepts a client. "+contract.AffinityName+" in it stands for "+contract.KeyNodeName+
		", by which proxies route. When it is not set, the proxy sets the cookie.")
}

// proxyProtocols returns the values of contract.KeyProxyProtocol.
func proxyProtocols() []string {
	return []string{contract.ProxyProtocolDisabled, contract.ProxyProtocolOptional, contract.ProxyProtocolRequired}
}

// authSettings declares which clients may connect, and which backends may call the server API.
func authSettings(s *schema, c *Config) {
	s.toggle(&c.Anonymous, contract.KeyAnonymous, true, "Accept clients without a token. false needs "+
		contract.KeyJWTKey+", "+contract.KeyJWTJWKSURL+" or "+contract.KeyHookConnectURL+".")
	s.secret(&c.JWTKey, contract.KeyJWTKey, "The `key` that clients' tokens are signed with: a shared key of at least "+
		strconv.Itoa(contract.MinJWTKeyBytes)+" bytes, or a public key in PEM. When neither it nor "+contract.KeyJWTJWKSURL+
		" is set, no token is accepted.")
	s.secret(&c.JWTPreviousKey, contract.KeyJWTPreviousKey,
		"The previous `key`. Tokens that are signed with it are accepted until they expire.")
	s.text(&c.JWKSURL, contract.KeyJWTJWKSURL, "",
		"The `URL` of the key set (JWKS) that clients' tokens are signed with, instead of "+contract.KeyJWTKey+".")
	s.text(&c.JWTIssuer, contract.KeyJWTIssuer, "",
		"The `issuer` (iss) that tokens must name. When it is not set, every issuer is accepted.")
	s.text(&c.JWTAudience, contract.KeyJWTAudience, "",
		"The `audience` (aud) that tokens must name. When it is not set, every audience is accepted.")
	s.secret(&c.APIKey, contract.KeyAPIKey, "The `key` that backends send as X-API-Key to "+contract.PathAPI+
		". When it is not set, the server API refuses every request.")
	s.secret(&c.APIPreviousKey, contract.KeyAPIPreviousKey, "The previous `key`, which is accepted too.")
}

// callbackSettings declares the backends that the gateway asks before it lets clients do something.
func callbackSettings(s *schema, c *Config) {
	const answers = " does not answer: " + contract.HookRefuse + " or " + contract.HookAllow + "."
	s.text(&c.HookConnectURL, contract.KeyHookConnectURL, "",
		"The `URL` of the backend that decides whether a client may connect. When it is not set, the gateway decides.")
	s.text(&c.HookConnectWhenDown, contract.KeyHookConnectWhenDown, contract.HookRefuse,
		"The `answer` to clients that connect while the backend of "+contract.KeyHookConnectURL+answers)
	s.text(&c.HookSubscribeURL, contract.KeyHookSubscribeURL, "", "The `URL` of the backend that decides whether a "+
		"client may subscribe to a channel. When it is not set, the gateway decides.")
	s.text(&c.HookSubscribeWhenDown, contract.KeyHookSubscribeWhenDown, contract.HookRefuse,
		"The `answer` to clients that subscribe while the backend of "+contract.KeyHookSubscribeURL+answers)
	s.text(&c.HookPublishURL, contract.KeyHookPublishURL, "", "The `URL` of the backend that decides whether a client "+
		"may publish a message. When it is not set, the gateway decides.")
	s.text(&c.HookPublishWhenDown, contract.KeyHookPublishWhenDown, contract.HookRefuse,
		"The `answer` to clients that publish while the backend of "+contract.KeyHookPublishURL+answers)
	s.text(&c.HookRPCURL, contract.KeyHookRPCURL, "",
		"The `URL` of the backend that answers the RPC calls of clients. When it is not set, calls are refused.")
	s.text(&c.HookRefreshURL, contract.KeyHookRefreshURL, "",
		"The `URL` of the backend that decides whether a client may stay when its time is over. When it is not set, the "+
			"client needs a new token.")
	s.text(&c.HookSubRefreshURL, contract.KeyHookSubRefreshURL, "",
		"The `URL` of the backend that decides whether a subscription may go on when its time is over. When it is not set, "+
			"the client needs a new token.")
	s.duration(&c.HookTimeout, contract.KeyHookTimeout, time.Second, within(10*time.Millisecond, 30*time.Second),
		"The maximum `time` until a backend has answered a hook.")
	s.secret(&c.HookSecret, contract.KeyHookSecret, "The `secret` that requests of hooks and of the webhook are signed "+
		"with: whsec_ and, for example, 32 random bytes in base64. During a rotation give two with a space between them. "+
		"When it is not set, requests are not signed.")
	s.list(&c.HookForwardHeaders, contract.KeyHookForwardHeaders, "The `headers` of a client's request that are sent to "+
		contract.KeyHookConnectURL+" too, like Cookie,X-Request-Id.")
}

// webhookSettings declares the backend that gets events.
func webhookSettings(s *schema, c *Config) {
	s.text(&c.WebhookURL, contract.KeyWebhookURL, "",
		"The `URL` of the backend that gets events. When it is not set, no events are sent.")
	s.list(&c.WebhookEvents, contract.KeyWebhookEvents, "The `events` that are sent: "+strings.Join(webhookEvents(), ", ")+
		". When it is not set, all are sent.")
}

// brokerSettings declares what carries messages between gateways.
func brokerSettings(s *schema, c *Config) {
	brokers := []string{contract.BrokerMemory, contract.BrokerRedis}
	s.choice(&c.Broker, contract.KeyBroker, contract.BrokerMemory, brokers,
		"The `broker` that carries messages between gateways. memory connects the clients of this process only.")
	modes := []string{contract.RedisStandalone, contract.RedisSentinel, contract.RedisCluster}
	s.choice(&c.RedisMode, contract.KeyRedisMode, contract.RedisStandalone, modes, "The `mode` of Redis.")
	s.list(&c.RedisAddresses, contract.KeyRedisAddresses,
		"The `addresses`, host:port, of Redis, of the sentinels, or of some nodes of the cluster.")
	s.text(&c.RedisMasterName, contract.KeyRedisMasterName, "",
		"The `name` of the master that the sentinels watch. Needed in the mode sentinel.")
	s.text(&c.RedisUsername, contract.KeyRedisUsername, "",
		"The `user` of the Redis ACL. When it is not set, the default user is used.")
	s.secret(&c.RedisPassword, contract.KeyRedisPassword, "The `password` of Redis.")
	s.text(&c.RedisPrefix, contract.KeyRedisPrefix, "wsfleet:",
		"The `prefix` of all names in Redis. Gateways with the same prefix share their channels.")
}

// drainSettings declares how a gateway sends its clients away.
func drainSettings(s *schema, c *Config) {
	s.duration(&c.DrainTimeout, contract.KeyDrainTimeout, 5*time.Minute, within(0, maxDrain),
		"The maximum `time` until a drain has closed all connections. 0 closes all at once.")
	s.duration(&c.DrainPropagationDelay, contract.KeyDrainPropagationDelay, 10*time.Second, within(0, maxDrain),
		"The `time` that a draining gateway still accepts clients, because load balancers notice the drain late. Less than "+
			contract.KeyDrainTimeout+".")
	s.number(&c.DrainMaxClosesPerSecond, contract.KeyDrainMaxClosesPerSecond, 0, within(0, maxPerSecond),
		"The maximum `number` of connections that a drain closes per second. 0 means that "+contract.KeyDrainTimeout+
			" alone decides.")
	s.integer(&c.DrainCloseCode, contract.KeyDrainCloseCode, 1012,
		"The close `code` that a drain sends to plain clients, "+drainCloseCodes+".")
}
