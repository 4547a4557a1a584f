package status

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// backplane is true while messages flow between gateways.
func backplane(o Observation) metav1.Condition {
	const kind = v1alpha1.ConditionBackplaneReady
	for _, problem := range o.Problems {
		if problem.AffectsRedis {
			return condition(kind, false, problem.Reason, problem.Message)
		}
	}
	redis := o.spec().Redis
	switch {
	case redis.Managed == nil && redis.External == nil:
		return condition(kind, true, v1alpha1.ReasonInMemory,
			"spec.redis is empty: there is no Redis, and messages stay on the gateway that received them")
	case redis.Managed != nil && (o.Redis == nil || o.Redis.Status.AvailableReplicas == 0):
		return managedNotReady(findCause(o.Redis, o.RedisPods, redisFields))
	default:
		computed := backplaneOfReports(redis, countBrokers(o))
		if o.RedisKept {
			computed.Message += "; it keeps the version of an earlier release of the operator: to replace it, which loses " +
				"its histories, set the annotation " + v1alpha1.AnnotationUpgradeRedis + " to another value"
		}
		return computed
	}
}

// managedNotReady returns the condition while the managed Redis does not run. found is why, or nil.
func managedNotReady(found *cause) metav1.Condition {
	const kind = v1alpha1.ConditionBackplaneReady
	if found != nil {
		return condition(kind, false, found.reason, "the managed Redis does not run: "+found.message)
	}
	return condition(kind, false, v1alpha1.ReasonRedisStarting,
		"the managed Redis is not ready yet: if this lasts, see the events and logs of its pod")
}

// brokerCounts are numbers of gateways by the state of their broker.
type brokerCounts struct {
	// reporting is the number of gateways that report.
	reporting int
	// notReady is the number of those whose broker is not ready.
	notReady int
	// connecting is the number of those that have not reached their broker since they started.
	connecting int
	// refused is the number of those whose broker refuses their credentials.
	refused int
}

// countBrokers counts a gateway by what it reports, not by the spec: a gateway of an older version may use another
// Redis, or none.
func countBrokers(o Observation) brokerCounts {
	var counts brokerCounts
	for _, g := range o.gateways() {
		if g.report == nil || g.stale || g.finished() || g.lost {
			continue
		}
		counts.reporting++
		if g.report.Broker.State == contract.BrokerReady {
			continue
		}
		counts.notReady++
		if g.report.Broker.State == contract.BrokerConnecting {
			counts.connecting++
		}
		// A gateway of an older version reports no reason, and counts as one that does not reach its broker.
		if g.report.Broker.Reason == contract.BrokerCredentialsRefused {
			counts.refused++
		}
	}
	return counts
}

// backplaneOfReports returns the condition by what the gateways report.
func backplaneOfReports(redis *v1alpha1.RedisSpec, counts brokerCounts) metav1.Condition {
	const kind = v1alpha1.ConditionBackplaneReady
	switch {
	case counts.refused > 0:
		return condition(kind, false, v1alpha1.ReasonCredentialsRefused,
			fmt.Sprintf("Redis refuses the credentials of %d of %d gateways: %s",
				counts.refused, counts.reporting, credentialsRemedy(redis)))
	case redis.Managed != nil && counts.notReady > 0 && counts.notReady == counts.connecting:
		// The gateways start together with the managed Redis, so this is expected for a while.
		return condition(kind, false, v1alpha1.ReasonRedisStarting,
			fmt.Sprintf("%d of %d gateways have not reached the managed Redis yet: "+
				"if this lasts, see the events and logs of its pod", counts.connecting, counts.reporting))
	case counts.notReady > 0:
		return condition(kind, false, v1alpha1.ReasonUnreachable,
			fmt.Sprintf("%d of %d gateways do not reach Redis: %s",
				counts.notReady, counts.reporting, addressRemedy(redis)))
	case counts.reporting == 0:
		return unknown(kind, v1alpha1.ReasonNoReports, "no gateway has reported yet whether it reaches Redis: "+
			"if this lasts, see the events and logs of the gateway pods")
	default:
		return condition(kind, true, v1alpha1.ReasonConnected, connectedMessage(redis))
	}
}

func connectedMessage(redis *v1alpha1.RedisSpec) string {
	switch {
	case redis.Managed == nil:
		return "every gateway reaches Redis"
	case redis.Managed.Storage != nil:
		return "every gateway reaches the managed Redis, which has a volume but is not highly available: " +
			"set spec.redis.external for high availability"
	default:
		return "every gateway reaches the managed Redis, which is not highly available: " +
			"set spec.redis.external for high availability"
	}
}

func addressRemedy(redis *v1alpha1.RedisSpec) string {
	if redis.External == nil {
		return "see the events and logs of the managed Redis' pod"
	}
	return "check spec.redis.external.addresses and spec.redis.external.mode, " +
		"and that the network lets the gateways reach them"
}

func credentialsRemedy(redis *v1alpha1.RedisSpec) string {
	switch {
	case redis.External == nil:
		return "delete the pod of the managed Redis, so that it reads its Secret again"
	case redis.External.CredentialsSecretRef == nil:
		return "name a Secret with the key password in spec.redis.external.credentialsSecretRef"
	default:
		return "put the right username and password into the Secret that " +
			"spec.redis.external.credentialsSecretRef names"
	}
}
