package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// errMoved ends a connection after a slot of the Redis Cluster has moved to another node.
var errMoved = errors.New("redis cluster: a slot moved to another node")

func moved(err error) bool {
	return errors.Is(err, errMoved) || err != nil && strings.Contains(err.Error(), "MOVED ")
}

// reload makes the client library read the cluster's layout again before the next connection.
func (l *pubSubConn) reload(ctx context.Context) {
	if c, ok := l.broker.client.(*redis.ClusterClient); ok {
		c.ReloadState(ctx)
	}
}
