package status

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// backplane is true when messages flow between gateways.
func backplane(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionBackplaneReady
	for _, problem := range o.Problems {
		if problem.AffectsRedis {
			return condition(kind, false, problem.Reason, problem.Message)
		}
	}
	redis := o.spec().Redis
	if redis.Managed == nil && redis.External == nil {
		return condition(kind, true, v1alpha1.ReasonInMemory, "there is no Redis (spec.redis is empty): messages stay on their gateway")
	}
	if redis.Managed != nil && (o.Redis == nil || o.Redis.Status.AvailableReplicas == 0) {
		return condition(kind, false, v1alpha1.ReasonRedisStarting, "the managed Redis is not ready yet: if it stays so, see the events and logs of its pod")
	}

	var telling, cut, starting, refused int
	for _, one := range o.gateways() {
		if one.report == nil || one.silent || one.finished() {
			continue
		}
		// A gateway of an older version may still speak to another Redis, or to none.
		telling++
		if one.report.Broker.State != contract.BrokerReady {
			cut++
			// A gateway of an older version gives no reason: that counts as unreachable.
			if one.report.Broker.Reason == contract.BrokerCredentialsRefused {
				refused++
			}
		}
		if one.report.Broker.State == contract.BrokerConnecting {
			starting++
		}
	}
	switch {
	case refused > 0:
		return condition(kind, false, v1alpha1.ReasonCredentialsRefused,
			fmt.Sprintf("Redis refuses the credentials of %d of %d gateways: %s", refused, telling, credentialsRemedy(redis)))
	case redis.Managed != nil && cut > 0 && cut == starting:
		// They start together with the Redis; that is nothing to warn of.
		return condition(kind, false, v1alpha1.ReasonRedisStarting,
			fmt.Sprintf("%d of %d gateways have not reached the managed Redis yet: if it stays so, see the events and logs of its pod", starting, telling))
	case cut > 0:
		return condition(kind, false, v1alpha1.ReasonUnreachable,
			fmt.Sprintf("%d of %d gateways do not reach Redis: %s", cut, telling, addressRemedy(redis)))
	case telling == 0:
		return unknown(kind, v1alpha1.ReasonNoReports, "no gateway has told yet whether it reaches Redis")
	default:
		return condition(kind, true, v1alpha1.ReasonConnected, connectedMessage(redis))
	}
}

func connectedMessage(redis *v1alpha1.RedisSpec) string {
	if redis.Managed != nil {
		return "every gateway reaches the managed Redis, which is not highly available: set spec.redis.external where that matters"
	}
	return "every gateway reaches Redis"
}

func addressRemedy(redis *v1alpha1.RedisSpec) string {
	if redis.External == nil {
		return "see the events and logs of the managed Redis' pod"
	}
	return "check spec.redis.external.addresses and spec.redis.external.mode, and that the gateways' network lets them through"
}

func credentialsRemedy(redis *v1alpha1.RedisSpec) string {
	switch {
	case redis.External == nil:
		return "delete the pod of the managed Redis, so that it reads its Secret again"
	case redis.External.CredentialsSecretRef == nil:
		return "name a Secret with the key password in spec.redis.external.credentialsSecretRef"
	default:
		return "put the right username and password into the Secret that spec.redis.external.credentialsSecretRef names"
	}
}
