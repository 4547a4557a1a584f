package v1alpha1

// Condition types. All of them are always present.
const (
	// ConditionSpecAccepted says whether the operator can act on the spec as it is.
	ConditionSpecAccepted = "SpecAccepted"
	// ConditionAvailable says whether enough gateways serve.
	ConditionAvailable = "Available"
	// ConditionProgressing says whether the fleet is on its way to what the spec asks for.
	ConditionProgressing = "Progressing"
	// ConditionDraining says whether a gateway is handing its clients over.
	ConditionDraining = "Draining"
	// ConditionBackplaneReady says whether messages flow between gateways.
	ConditionBackplaneReady = "BackplaneReady"
	// ConditionMetricsAvailable says whether the autoscaler can read connections.
	ConditionMetricsAvailable = "MetricsAvailable"
	// ConditionExposed says whether clients can reach the fleet in the way the spec asks for.
	ConditionExposed = "Exposed"
)

// Reasons of several conditions: what keeps the operator from acting.
const (
	// ReasonForeignObject: an object that the fleet needs has its name taken by one that is not the
	// operator's. It is left alone; rename or remove it.
	ReasonForeignObject = "ForeignObject"
	// ReasonSecretNotFound: a Secret that the spec names does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: a Secret that the spec names lacks the key, or the key is empty.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonSecretKeyTooShort: a Secret that the spec names has a key with fewer bytes than a signature
	// needs.
	ReasonSecretKeyTooShort = "SecretKeyTooShort"
	// ReasonApplyRefused: the API server refused an object.
	ReasonApplyRefused = "ApplyRefused"
	// ReasonPaused: spec.paused is true.
	ReasonPaused = "Paused"
)

// Reasons of SpecAccepted, besides those of several conditions.
const (
	// ReasonAccepted: the operator acts on the spec.
	ReasonAccepted = "Accepted"
)

// Reasons of Available.
const (
	// ReasonEnoughServing: enough gateways serve.
	ReasonEnoughServing = "EnoughServing"
	// ReasonTooFewServing: fewer gateways serve than spec.replicas less spec.rollout.maxUnavailable.
	ReasonTooFewServing = "TooFewServing"
	// ReasonNoneServing: no gateway serves.
	ReasonNoneServing = "NoneServing"
	// ReasonScaledToZero: spec.replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
)

// Reasons of Progressing, besides those of several conditions.
const (
	// ReasonSettled: the fleet is what the spec asks for.
	ReasonSettled = "Settled"
	// ReasonRollingOut: pods of a new version replace those of the old one.
	ReasonRollingOut = "RollingOut"
	// ReasonScaling: pods come or go.
	ReasonScaling = "Scaling"
	// ReasonDeadlineExceeded: the rollout stands still; new pods do not become ready.
	ReasonDeadlineExceeded = "DeadlineExceeded"
)

// Reasons of Draining.
const (
	// ReasonHandingOver: gateways are closing their clients at the drain's pace.
	ReasonHandingOver = "HandingOver"
	// ReasonNoneDraining: no gateway drains.
	ReasonNoneDraining = "NoneDraining"
)

// Reasons of BackplaneReady, besides those of several conditions.
const (
	// ReasonConnected: every gateway that answers reaches Redis.
	ReasonConnected = "Connected"
	// ReasonInMemory: there is no Redis; one gateway needs none.
	ReasonInMemory = "InMemory"
	// ReasonRedisStarting: the managed Redis is not ready, or gateways have not reached it yet.
	ReasonRedisStarting = "RedisStarting"
	// ReasonUnreachable: a gateway cannot reach Redis.
	ReasonUnreachable = "Unreachable"
	// ReasonCredentialsRefused: Redis answers, and does not let a gateway in.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonNoReports: no gateway has told yet.
	ReasonNoReports = "NoReports"
)

// Reasons of MetricsAvailable.
const (
	// ReasonNotNeeded: autoscaling is off.
	ReasonNotNeeded = "NotNeeded"
	// ReasonMetricsServed: the custom metrics API is served.
	ReasonMetricsServed = "MetricsServed"
	// ReasonNoMetricsAPI: nothing serves the custom metrics API.
	ReasonNoMetricsAPI = "NoMetricsAPI"
)

// Reasons of Exposed, besides those of several conditions.
const (
	// ReasonServiceReady: clients reach the Service; there is no Ingress.
	ReasonServiceReady = "ServiceReady"
	// ReasonServicePending: the Service does not exist yet.
	ReasonServicePending = "ServicePending"
	// ReasonIngressPending: the Ingress does not exist yet.
	ReasonIngressPending = "IngressPending"
	// ReasonLoadBalancerPending: the load balancer has no address yet.
	ReasonLoadBalancerPending = "LoadBalancerPending"
	// ReasonProfileApplied: the Ingress has the annotations of its controller's profile.
	ReasonProfileApplied = "ProfileApplied"
	// ReasonNoProfile: there is an Ingress without a profile; the user sets affinity and timeouts.
	ReasonNoProfile = "NoProfile"
	// ReasonIngressClassNotFound: the IngressClass does not exist, or none is the default.
	ReasonIngressClassNotFound = "IngressClassNotFound"
)

// Reasons of events that no condition has.
const (
	// ReasonCreated: an object was created.
	ReasonCreated = "Created"
	// ReasonUpdated: an object was changed, for its desired state has changed, or somebody else had
	// changed it.
	ReasonUpdated = "Updated"
	// ReasonDeleted: an object that the spec no longer asks for was deleted.
	ReasonDeleted = "Deleted"
)

// ConditionTypes lists every condition type, in the order in which they are written.
func ConditionTypes() []string {
	return []string{
		ConditionAvailable,
		ConditionProgressing,
		ConditionDraining,
		ConditionBackplaneReady,
		ConditionMetricsAvailable,
		ConditionExposed,
		ConditionSpecAccepted,
	}
}
