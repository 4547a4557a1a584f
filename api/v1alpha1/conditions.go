package v1alpha1

// Condition types. A status always has all of them.
const (
	// ConditionSpecAccepted is true while nothing keeps the operator from applying the spec.
	ConditionSpecAccepted = "SpecAccepted"
	// ConditionAvailable is true while enough gateways serve clients.
	ConditionAvailable = "Available"
	// ConditionProgressing is true while the fleet changes towards the spec.
	ConditionProgressing = "Progressing"
	// ConditionDraining is true while a gateway drains.
	ConditionDraining = "Draining"
	// ConditionBackplaneReady is true while messages flow between gateways.
	ConditionBackplaneReady = "BackplaneReady"
	// ConditionMetricsAvailable is true while the number of connections is known, and the autoscaler reads it or does not
	// need it.
	ConditionMetricsAvailable = "MetricsAvailable"
	// ConditionExposed is true while clients can reach the fleet in the way that the spec asks for.
	ConditionExposed = "Exposed"
)

// Condition types that sum up the others for tools that wait, as kstatus defines them. Their reason and message are
// those of the condition that decides.
const (
	// ConditionReady is true while the fleet serves clients as the spec asks for, or is scaled to 0.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the fleet is not ready and may become so by itself.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true while the fleet is not ready, and nothing goes on until the user acts.
	ConditionStalled = "Stalled"
)

// Reasons of several conditions: what keeps the operator from applying the spec.
const (
	// ReasonForeignObject means that an object with the name that the fleet needs exists and does not belong to the
	// operator. The operator leaves it alone.
	ReasonForeignObject = "ForeignObject"
	// ReasonSecretNotFound means that a Secret that the spec names does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing means that a Secret that the spec names lacks the key, or the key is empty.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonSecretKeyTooShort means that the key in a Secret that the spec names is shorter than the minimum.
	ReasonSecretKeyTooShort = "SecretKeyTooShort"
	// ReasonPatchInvalid means that a patch of spec.patch does not fit its object, or changes what the operator depends
	// on.
	ReasonPatchInvalid = "PatchInvalid"
	// ReasonCertificateInvalid means that the Secret that spec.gateway.tls names has no certificate with its private key.
	ReasonCertificateInvalid = "CertificateInvalid"
	// ReasonApplyRefused means that the API server refused an object.
	ReasonApplyRefused = "ApplyRefused"
	// ReasonPaused means that spec.paused is true.
	ReasonPaused = "Paused"
)

// Reasons of Progressing and BackplaneReady: what keeps pods from running, in the words of Kubernetes.
const (
	// ReasonPodsRefused means that Kubernetes refuses to create the pods, because of a quota, a LimitRange, a priority
	// class or an admission policy.
	ReasonPodsRefused = "PodsRefused"
	// ReasonUnschedulable means that no node takes the pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonImagePullFailed means that a node cannot pull the image.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonContainerNotStarted means that a node cannot start the container, because it lacks a Secret, a ConfigMap or
	// the program.
	ReasonContainerNotStarted = "ContainerNotStarted"
	// ReasonCrashLooping means that the container ends again and again.
	ReasonCrashLooping = "CrashLooping"
)

// Reasons of SpecAccepted, besides those of several conditions.
const (
	// ReasonAccepted means that the operator applies the spec.
	ReasonAccepted = "Accepted"
	// ReasonGracePeriodShortened means that an admission policy gives the gateways a shorter termination grace period than
	// their drain needs.
	ReasonGracePeriodShortened = "GracePeriodShortened"
	// ReasonContested means that another client changes one of the operator's fields again and again.
	ReasonContested = "Contested"
	// ReasonKindNotInstalled means that the spec insists on an object whose kind the cluster does not have.
	ReasonKindNotInstalled = "KindNotInstalled"
)

// Reasons of Available.
const (
	// ReasonEnoughServing means that enough gateways serve clients.
	ReasonEnoughServing = "EnoughServing"
	// ReasonTooFewServing means that fewer gateways serve clients than spec.replicas minus spec.rollout.maxUnavailable.
	ReasonTooFewServing = "TooFewServing"
	// ReasonNoneServing means that no gateway serves clients.
	ReasonNoneServing = "NoneServing"
	// ReasonScaledToZero means that spec.replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
)

// Reasons of Progressing, besides those of several conditions.
const (
	// ReasonSettled means that the fleet matches the spec.
	ReasonSettled = "Settled"
	// ReasonRollingOut means that pods of a new version replace those of the old one.
	ReasonRollingOut = "RollingOut"
	// ReasonUpgradeQueued means that the operator's release changes the gateways, and other fleets are upgraded first.
	ReasonUpgradeQueued = "UpgradeQueued"
	// ReasonScaling means that pods are added or removed.
	ReasonScaling = "Scaling"
	// ReasonScalingIn means that gateways drain before they are deleted, because spec.replicas is lower.
	ReasonScalingIn = "ScalingIn"
	// ReasonScaleInUndone is the reason of the event about a gateway that serves again, because it is not to be deleted
	// any more.
	ReasonScaleInUndone = "ScaleInUndone"
	// ReasonScaleInWaits means that gateways have to go, and must not drain yet.
	ReasonScaleInWaits = "ScaleInWaits"
	// ReasonRebalancing means that gateways with more than their share of the clients send the rest to the others.
	ReasonRebalancing = "Rebalancing"
	// ReasonRebalanceWaits means that gateways have more than their share of the clients, and keep them for now.
	ReasonRebalanceWaits = "RebalanceWaits"
	// ReasonRebalanceStopped is the reason of the event about a gateway that keeps the rest of its clients, because
	// something else comes first.
	ReasonRebalanceStopped = "RebalanceStopped"
	// ReasonRolloutPaused means that another client has paused the rollout of the gateways' Deployment.
	ReasonRolloutPaused = "RolloutPaused"
	// ReasonClientsRefused means that gateways of the new version turn most of their clients away and those of the old one
	// do not, so that the rollout does not go on.
	ReasonClientsRefused = "ClientsRefused"
	// ReasonDeadlineExceeded means that the rollout makes no progress, because new pods do not become ready.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonDeleting means that the WebSocketCluster is being deleted: its gateways go first, then Redis and the rest.
	ReasonDeleting = "Deleting"
)

// Reasons of Draining.
const (
	// ReasonHandingOver means that gateways close their connections at the rate of the drain.
	ReasonHandingOver = "HandingOver"
	// ReasonDrainTooShort means that a gateway drains, and cannot close all its connections one after the other by its
	// deadline.
	ReasonDrainTooShort = "DrainTooShort"
	// ReasonGatewaysLost means that gateways should have ended, and their node does not confirm that they have.
	ReasonGatewaysLost = "GatewaysLost"
	// ReasonNoneDraining means that no gateway drains.
	ReasonNoneDraining = "NoneDraining"
)

// Reasons of BackplaneReady, besides those of several conditions.
const (
	// ReasonConnected means that every gateway that reports reaches Redis.
	ReasonConnected = "Connected"
	// ReasonInMemory means that there is no Redis, and the only gateway needs none.
	ReasonInMemory = "InMemory"
	// ReasonRedisStarting means that the managed Redis is not ready, or gateways have not reached it yet.
	ReasonRedisStarting = "RedisStarting"
	// ReasonUnreachable means that a gateway does not reach Redis.
	ReasonUnreachable = "Unreachable"
	// ReasonCredentialsRefused means that Redis answers, but refuses the credentials of a gateway.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonNoReports means that no gateway has reported yet.
	ReasonNoReports = "NoReports"
)

// Reasons of MetricsAvailable.
const (
	// ReasonNotNeeded means that spec.autoscaling is not set.
	ReasonNotNeeded = "NotNeeded"
	// ReasonMetricsServed means that the HorizontalPodAutoscaler reads the fleet's connections.
	ReasonMetricsServed = "MetricsServed"
	// ReasonScalingDisabled means that spec.replicas is 0, which makes the HorizontalPodAutoscaler wait.
	ReasonScalingDisabled = "ScalingDisabled"
	// ReasonAutoscalerPending means that the HorizontalPodAutoscaler is new, or has failed for less than a minute.
	ReasonAutoscalerPending = "AutoscalerPending"
	// ReasonNoMetricsAPI means that the HorizontalPodAutoscaler reads no metric, because no server has the custom metrics
	// API.
	ReasonNoMetricsAPI = "NoMetricsAPI"
	// ReasonMetricUnreadable means that the HorizontalPodAutoscaler does not get a metric from the server that has the
	// API.
	ReasonMetricUnreadable = "MetricUnreadable"
	// ReasonAutoscalerFailed means that the HorizontalPodAutoscaler does not scale for another reason.
	ReasonAutoscalerFailed = "AutoscalerFailed"
	// ReasonSecondAutoscaler means that another HorizontalPodAutoscaler scales the fleet too.
	ReasonSecondAutoscaler = "SecondAutoscaler"
	// ReasonGatewaysSilent means that gateways do not answer the operator, so that their connections are not counted.
	ReasonGatewaysSilent = "GatewaysSilent"
)

// Reasons of Exposed.
const (
	// ReasonServiceReady means that clients reach the Service, and neither spec.ingress nor spec.gatewayAPI is set.
	ReasonServiceReady = "ServiceReady"
	// ReasonServicePending means that the Service does not exist yet.
	ReasonServicePending = "ServicePending"
	// ReasonIngressPending means that the Ingress does not exist yet.
	ReasonIngressPending = "IngressPending"
	// ReasonLoadBalancerPending means that the load balancer has no address yet.
	ReasonLoadBalancerPending = "LoadBalancerPending"
	// ReasonProfileApplied means that the Ingress has the annotations of its controller's profile.
	ReasonProfileApplied = "ProfileApplied"
	// ReasonProfileLimited means that the Ingress has the annotations of its controller's profile, but that the
	// controller cannot do all that spec.ingress asks for.
	ReasonProfileLimited = "ProfileLimited"
	// ReasonNoProfile means that the Ingress has no profile, so the user sets affinity and timeouts.
	ReasonNoProfile = "NoProfile"
	// ReasonIngressClassNotFound means that the IngressClass does not exist, or the cluster has no default one.
	ReasonIngressClassNotFound = "IngressClassNotFound"
	// ReasonGatewayAPINotInstalled means that the cluster has no HTTPRoutes, which spec.gatewayAPI needs.
	ReasonGatewayAPINotInstalled = "GatewayAPINotInstalled"
	// ReasonRoutePending means that the HTTPRoute does not exist yet, or a Gateway's controller has not answered.
	ReasonRoutePending = "RoutePending"
	// ReasonRouteRefused means that a Gateway's controller does not accept the HTTPRoute.
	ReasonRouteRefused = "RouteRefused"
	// ReasonRouteAccepted means that the Gateways accept the HTTPRoute.
	ReasonRouteAccepted = "RouteAccepted"
	// ReasonNoSessionPersistence means that the installed Gateway API has no session persistence.
	ReasonNoSessionPersistence = "NoSessionPersistence"
)

// Reasons of events that no condition has.
const (
	// ReasonCreated means that the operator created an object.
	ReasonCreated = "Created"
	// ReasonUpdated means that the operator changed an object, because its desired state has changed or it differed from
	// it.
	ReasonUpdated = "Updated"
	// ReasonRepaired means that another client changed an object, and the operator wrote it again.
	ReasonRepaired = "Repaired"
	// ReasonDeleted means that the operator deleted an object that the spec no longer asks for.
	ReasonDeleted = "Deleted"
	// ReasonRedisRestarted means that the managed Redis was started again, and has lost what it does not keep on a
	// volume.
	ReasonRedisRestarted = "RedisRestarted"
	// ReasonGatewaysLeft means that the deletion of a WebSocketCluster went on although gateways were not gone at their
	// deadline.
	ReasonGatewaysLeft = "GatewaysLeft"
)

// ConditionTypes returns every condition type, in the order in which a status has them.
func ConditionTypes() []string {
	return []string{
		ConditionAvailable,
		ConditionProgressing,
		ConditionDraining,
		ConditionBackplaneReady,
		ConditionMetricsAvailable,
		ConditionExposed,
		ConditionSpecAccepted,
		ConditionReady,
		ConditionReconciling,
		ConditionStalled,
	}
}
