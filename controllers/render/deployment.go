package render

import (
	"cmp"
	"maps"
	"math"
	"path"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// drainMargin is added to the drain's time in the grace period. The gateway sends its last close frames in it. Without
// it, a preStop hook that takes the whole grace period would leave the container only two seconds.
const drainMargin = 15 * time.Second

// progressDeadlineSeconds is how long a rollout may make no progress until the Deployment reports it as failed.
const progressDeadlineSeconds = 600

// heldMinReadySeconds keeps new gateways from being available while the last ones of the old version must stay: a year,
// because a version that turns clients away may stay until its user comes back.
const heldMinReadySeconds = 365 * 24 * 60 * 60

// volumeTLS is the name of the pod's volume with the certificate.
const volumeTLS = "tls"

// gatewayDeployment returns the Deployment of the gateways.
func gatewayDeployment(in Input) (any, error) {
	config, err := configFile(in)
	if err != nil {
		return nil, err
	}
	pod, err := gatewayPod(in)
	if err != nil {
		return nil, err
	}

	podLabels := map[string]string{}
	maps.Copy(podLabels, in.Spec.Pod.Labels.Strings())
	maps.Copy(podLabels, labels(in.Name, ComponentGateway))

	podAnnotations := map[string]string{}
	maps.Copy(podAnnotations, evictionAnnotations(in.Spec.Disruption))
	maps.Copy(podAnnotations, in.Spec.Pod.Annotations)
	podAnnotations[AnnotationConfig] = config
	if in.CredentialsHash != "" {
		podAnnotations[annotationCredentialsHash] = in.CredentialsHash
	}

	minReadySeconds := *in.Spec.Rollout.MinReadySeconds
	maxSurge, maxUnavailable := rolloutSteps(in.Spec)
	if in.HoldLast {
		minReadySeconds = heldMinReadySeconds
	}
	deployment := appsac.Deployment(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(appsac.DeploymentSpec().
			WithReplicas(*cmp.Or(in.GatewayReplicas, in.Spec.Replicas)).
			WithRevisionHistoryLimit(revisionHistory).
			WithMinReadySeconds(minReadySeconds).
			WithProgressDeadlineSeconds(progressDeadlineSeconds + minReadySeconds).
			WithStrategy(appsac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(appsac.RollingUpdateDeployment().
					WithMaxSurge(maxSurge).
					WithMaxUnavailable(maxUnavailable))).
			WithSelector(gatewaySelector(in)).
			WithTemplate(coreac.PodTemplateSpec().
				WithLabels(podLabels).
				WithAnnotations(podAnnotations).
				WithSpec(pod)))
	if in.HoldRollout {
		deployment.WithAnnotations(map[string]string{AnnotationRolloutHeld: "true"}).Spec.WithPaused(true)
	}
	if in.RefusedVersion != "" {
		deployment.WithAnnotations(map[string]string{AnnotationRolloutRefused: in.RefusedVersion})
	}
	return deployment, nil
}

// RolloutHeld reports whether the operator has paused a Deployment, and not another client.
func RolloutHeld(deployment *appsv1.Deployment) bool {
	_, held := deployment.Annotations[AnnotationRolloutHeld]
	return deployment.Spec.Paused && held
}

// GracePeriodSeconds returns the termination grace period of gateway pods. It is derived from the drain's settings, so
// that the two cannot contradict each other.
func GracePeriodSeconds(drain v1alpha1.DrainSpec) int64 {
	return int64(math.Ceil((drain.PropagationDelay.Duration + drain.Timeout.Duration + drainMargin).Seconds()))
}

func gatewayPod(in Input) (*coreac.PodSpecApplyConfiguration, error) {
	container, err := gatewayContainer(in)
	if err != nil {
		return nil, err
	}
	spread, err := topologySpread(in)
	if err != nil {
		return nil, err
	}
	pod := fleetPod(in).
		WithTerminationGracePeriodSeconds(GracePeriodSeconds(in.Spec.Drain)).
		WithContainers(container).
		WithTopologySpreadConstraints(spread...).
		WithVolumes(
			coreac.Volume().WithName("config").WithDownwardAPI(coreac.DownwardAPIVolumeSource().
				WithItems(coreac.DownwardAPIVolumeFile().
					WithPath(path.Base(contract.ConfigFile)).
					WithFieldRef(coreac.ObjectFieldSelector().
						WithAPIVersion("v1").WithFieldPath("metadata.annotations['"+AnnotationConfig+"']")))),
			coreac.Volume().WithName("admin").WithSecret(coreac.SecretVolumeSource().
				WithSecretName(AdminSecretName(in.Name)).
				WithDefaultMode(0o440)))
	if tls := in.Spec.Gateway.TLS; tls != nil {
		pod.WithVolumes(coreac.Volume().WithName(volumeTLS).WithSecret(coreac.SecretVolumeSource().
			WithSecretName(tls.SecretName).
			WithDefaultMode(0o440)))
	}
	err = place(pod, v1alpha1.PlacementSpec{
		NodeSelector:      in.Spec.Pod.NodeSelector,
		Tolerations:       in.Spec.Pod.Tolerations,
		Affinity:          in.Spec.Pod.Affinity,
		PriorityClassName: in.Spec.Pod.PriorityClassName,
	})
	spreadOverZones(pod, in)
	return pod, err
}

func gatewayContainer(in Input) (*coreac.ContainerApplyConfiguration, error) {
	resources, err := convert[coreac.ResourceRequirementsApplyConfiguration](in.Spec.Resources)
	if err != nil {
		return nil, err
	}
	userEnv, err := convertAll[coreac.EnvVarApplyConfiguration](in.Spec.Pod.Env)
	if err != nil {
		return nil, err
	}
	container := coreac.Container().
		WithName(ComponentGateway).
		WithImage(in.GatewayImage()).
		WithArgs("--"+contract.KeyConfig, contract.ConfigFile).
		WithEnv(gatewayEnv(in)...).
		WithEnv(userEnv...).
		WithPorts(
			coreac.ContainerPort().WithName(ListenerOfSpec(in.Spec).Port).
				WithContainerPort(contract.PublicPort).WithProtocol(corev1.ProtocolTCP),
			coreac.ContainerPort().WithName(contract.AdminPortName).
				WithContainerPort(contract.AdminPort).WithProtocol(corev1.ProtocolTCP)).
		WithResources(resources).
		WithSecurityContext(containerSecurity()).
		// The error that a gateway ends with is then in its pod's status, and in that of the WebSocketCluster.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithStartupProbe(adminProbe(contract.PathLivez).WithPeriodSeconds(1).WithFailureThreshold(60)).
		WithReadinessProbe(adminProbe(contract.PathReadyz).WithPeriodSeconds(2).WithFailureThreshold(2)).
		WithLivenessProbe(adminProbe(contract.PathLivez).WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithLifecycle(coreac.Lifecycle().WithPreStop(coreac.LifecycleHandler().
			WithExec(coreac.ExecAction().WithCommand(contract.Binary, "drain")))).
		WithVolumeMounts(
			coreac.VolumeMount().WithName("config").WithMountPath(path.Dir(contract.ConfigFile)).WithReadOnly(true),
			coreac.VolumeMount().WithName("admin").WithMountPath(contract.AdminTokenDir).WithReadOnly(true))
	if in.Spec.Gateway.TLS != nil {
		container.WithVolumeMounts(coreac.VolumeMount().WithName(volumeTLS).WithMountPath(contract.TLSDir).WithReadOnly(true))
	}
	if in.Spec.ImagePullPolicy != "" {
		container.WithImagePullPolicy(in.Spec.ImagePullPolicy)
	}
	return container, nil
}

func adminProbe(path string) *coreac.ProbeApplyConfiguration {
	return coreac.Probe().
		WithHTTPGet(coreac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(contract.AdminPortName))).
		WithTimeoutSeconds(5)
}

// gatewayEnv returns the settings that the configuration file cannot have: the pod's own name, and secrets.
func gatewayEnv(in Input) []*coreac.EnvVarApplyConfiguration {
	env := []*coreac.EnvVarApplyConfiguration{
		coreac.EnvVar().WithName(envName(contract.KeyNodeName)).WithValueFrom(coreac.EnvVarSource().
			WithFieldRef(coreac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath("metadata.name"))),
	}
	for _, value := range SecretValues(in.Spec) {
		env = append(env, secretEnv(envName(value.Setting), value.Secret, value.Key))
	}
	switch external := in.Spec.Redis.External; {
	case in.managedRedis():
		env = append(env, secretEnv(envName(contract.KeyRedisPassword), RedisName(in.Name), KeyRedisPassword))
	case external != nil && external.CredentialsSecretRef != nil:
		secret := external.CredentialsSecretRef.Name
		username := secretEnv(envName(contract.KeyRedisUsername), secret, KeyRedisUsername)
		username.ValueFrom.SecretKeyRef.WithOptional(true)
		env = append(env, username, secretEnv(envName(contract.KeyRedisPassword), secret, KeyRedisPassword))
	}
	return env
}

// envName returns the environment variable of a configuration key.
func envName(key string) string {
	return contract.EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}
