package render

import (
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
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// drainMargin is what the grace period has over the drain: for the last close frames, and because
// a preStop hook that uses up the whole grace period leaves the container two seconds.
const drainMargin = 15 * time.Second

// progressDeadline is how long a rollout may stand still before it is called stuck.
const progressDeadline = 600

// gatewayDeployment runs the gateways.
func gatewayDeployment(in Input) (any, error) {
	config, err := configFile(in)
	if err != nil {
		return nil, err
	}
	pod, err := gatewayPod(in)
	if err != nil {
		return nil, err
	}

	podLabels := maps.Clone(in.Spec.Pod.Labels)
	if podLabels == nil {
		podLabels = map[string]string{}
	}
	maps.Copy(podLabels, labels(in.Name, ComponentGateway))

	podAnnotations := maps.Clone(in.Spec.Pod.Annotations)
	if podAnnotations == nil {
		podAnnotations = map[string]string{}
	}
	podAnnotations[AnnotationConfigHash] = shortHash(config)
	if in.CredentialsHash != "" {
		podAnnotations[annotationCredentialsHash] = in.CredentialsHash
	}

	rollout := in.Spec.Rollout
	return appsac.Deployment(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithSpec(appsac.DeploymentSpec().
			WithReplicas(*in.Spec.Replicas).
			WithRevisionHistoryLimit(revisionHistory).
			WithMinReadySeconds(*rollout.MinReadySeconds).
			WithProgressDeadlineSeconds(progressDeadline + *rollout.MinReadySeconds).
			WithStrategy(appsac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(appsac.RollingUpdateDeployment().
					WithMaxSurge(*rollout.MaxSurge).
					WithMaxUnavailable(*rollout.MaxUnavailable))).
			WithSelector(metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, ComponentGateway))).
			WithTemplate(coreac.PodTemplateSpec().
				WithLabels(podLabels).
				WithAnnotations(podAnnotations).
				WithSpec(pod))), nil
}

// GracePeriodSeconds is how long a gateway pod has from its deletion to its end: long enough for
// the drain, so that it is never set beside it.
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
	tolerations, err := convertAll[coreac.TolerationApplyConfiguration](in.Spec.Pod.Tolerations)
	if err != nil {
		return nil, err
	}

	pod := coreac.PodSpec().
		WithServiceAccountName(GatewayName(in.Name)).
		WithAutomountServiceAccountToken(false).
		// Service links would put a WSFLEET_... variable into the gateway for a Service of that name.
		WithEnableServiceLinks(false).
		WithSecurityContext(podSecurity().WithFSGroup(nonRoot)).
		WithTerminationGracePeriodSeconds(GracePeriodSeconds(in.Spec.Drain)).
		WithImagePullSecrets(pullSecrets(in)...).
		WithContainers(container).
		WithTolerations(tolerations...).
		WithTopologySpreadConstraints(spread...).
		WithVolumes(
			coreac.Volume().WithName("config").WithConfigMap(coreac.ConfigMapVolumeSource().
				WithName(GatewayName(in.Name))),
			coreac.Volume().WithName("admin").WithSecret(coreac.SecretVolumeSource().
				WithSecretName(AdminSecretName(in.Name)).
				WithDefaultMode(0o440)))
	if tls := in.Spec.Gateway.TLS; tls != nil {
		pod.WithVolumes(coreac.Volume().WithName("tls").WithSecret(coreac.SecretVolumeSource().
			WithSecretName(tls.SecretName).
			WithDefaultMode(0o440)))
	}
	if len(in.Spec.Pod.NodeSelector) > 0 {
		pod.WithNodeSelector(in.Spec.Pod.NodeSelector)
	}
	if in.Spec.Pod.PriorityClassName != "" {
		pod.WithPriorityClassName(in.Spec.Pod.PriorityClassName)
	}
	if in.Spec.Pod.Affinity != nil {
		if pod.Affinity, err = convert[coreac.AffinityApplyConfiguration](in.Spec.Pod.Affinity); err != nil {
			return nil, err
		}
	}
	return pod, nil
}

func gatewayContainer(in Input) (*coreac.ContainerApplyConfiguration, error) {
	resources, err := convert[coreac.ResourceRequirementsApplyConfiguration](in.Spec.Resources)
	if err != nil {
		return nil, err
	}
	more, err := convertAll[coreac.EnvVarApplyConfiguration](in.Spec.Pod.Env)
	if err != nil {
		return nil, err
	}
	container := coreac.Container().
		WithName(ComponentGateway).
		WithImage(in.GatewayImage()).
		WithArgs("--"+contract.KeyConfig, contract.ConfigFile).
		WithEnv(gatewayEnv(in)...).
		WithEnv(more...).
		WithPorts(
			coreac.ContainerPort().WithName(contract.PublicPortName).
				WithContainerPort(contract.PublicPort).WithProtocol(corev1.ProtocolTCP),
			coreac.ContainerPort().WithName(contract.AdminPortName).
				WithContainerPort(contract.AdminPort).WithProtocol(corev1.ProtocolTCP)).
		WithResources(resources).
		WithSecurityContext(containerSecurity()).
		WithStartupProbe(adminProbe(contract.PathLivez).WithPeriodSeconds(1).WithFailureThreshold(60)).
		WithReadinessProbe(adminProbe(contract.PathReadyz).WithPeriodSeconds(2).WithFailureThreshold(2)).
		WithLivenessProbe(adminProbe(contract.PathLivez).WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithLifecycle(coreac.Lifecycle().WithPreStop(coreac.LifecycleHandler().
			WithExec(coreac.ExecAction().WithCommand(contract.Binary, "drain")))).
		WithVolumeMounts(
			coreac.VolumeMount().WithName("config").WithMountPath(path.Dir(contract.ConfigFile)).WithReadOnly(true),
			coreac.VolumeMount().WithName("admin").WithMountPath(contract.AdminTokenDir).WithReadOnly(true))
	if in.Spec.Gateway.TLS != nil {
		container.WithVolumeMounts(coreac.VolumeMount().WithName("tls").WithMountPath(contract.TLSDir).WithReadOnly(true))
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

// gatewayEnv is what a configuration file cannot hold: the pod's own name, and secrets.
func gatewayEnv(in Input) []*coreac.EnvVarApplyConfiguration {
	env := []*coreac.EnvVarApplyConfiguration{
		coreac.EnvVar().WithName(variable(contract.KeyNodeName)).WithValueFrom(coreac.EnvVarSource().
			WithFieldRef(coreac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath("metadata.name"))),
	}
	for _, value := range SecretValues(in.Spec) {
		env = append(env, secretEnv(variable(value.Setting), value.Secret, value.Key))
	}
	switch external := in.Spec.Redis.External; {
	case in.managedRedis():
		env = append(env, secretEnv(variable(contract.KeyRedisPassword), RedisName(in.Name), KeyRedisPassword))
	case external != nil && external.CredentialsSecretRef != nil:
		secret := external.CredentialsSecretRef.Name
		username := secretEnv(variable(contract.KeyRedisUsername), secret, KeyRedisUsername)
		username.ValueFrom.SecretKeyRef.WithOptional(true)
		env = append(env, username, secretEnv(variable(contract.KeyRedisPassword), secret, KeyRedisPassword))
	}
	return env
}

// variable is the environment variable of a configuration key.
func variable(key string) string {
	return contract.EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// topologySpread is the user's, or zones and nodes as far as there are any. A constraint without a
// selector counts the fleet's own pods.
func topologySpread(in Input) ([]*coreac.TopologySpreadConstraintApplyConfiguration, error) {
	own := metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, ComponentGateway))
	if wanted := in.Spec.Pod.TopologySpreadConstraints; len(wanted) > 0 {
		constraints, err := convertAll[coreac.TopologySpreadConstraintApplyConfiguration](wanted)
		if err != nil {
			return nil, err
		}
		for _, constraint := range constraints {
			if constraint.LabelSelector == nil {
				constraint.WithLabelSelector(own)
			}
		}
		return constraints, nil
	}
	var constraints []*coreac.TopologySpreadConstraintApplyConfiguration
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelHostname} {
		constraints = append(constraints, coreac.TopologySpreadConstraint().
			WithMaxSkew(1).
			WithTopologyKey(key).
			WithWhenUnsatisfiable(corev1.ScheduleAnyway).
			WithLabelSelector(own).
			// Each version spreads for itself, or a rollout would end crooked.
			WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey))
	}
	return constraints, nil
}
