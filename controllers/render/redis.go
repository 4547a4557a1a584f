package render

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
)

const (
	redisPort      = 6379
	redisPortName  = "redis"
	redisConfDir   = "/etc/redis"
	redisDataDir   = "/data"
	redisCLISecret = "REDISCLI_AUTH" //nolint:gosec // the name of a variable, not a credential
)

func redisAddress(in Input) string { return RedisName(in.Name) + ":" + strconv.Itoa(redisPort) }

// redisConf is the managed Redis' configuration. It keeps nothing: what matters passes through, and
// a restart must be quick.
func redisConf(in Input) string {
	return strings.Join([]string{
		"bind * -::*",
		"port " + strconv.Itoa(redisPort),
		"dir " + redisDataDir,
		`save ""`,
		"appendonly no",
		"requirepass " + in.Secrets.RedisPassword,
		"",
	}, "\n")
}

// redisCredentials is in a Secret as a whole, for the password is in the configuration.
func redisCredentials(in Input) (any, error) {
	if !in.managedRedis() {
		return nil, nil
	}
	return coreac.Secret(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.owner()).
		WithType(corev1.SecretTypeOpaque).
		WithData(map[string][]byte{
			KeyRedisPassword: []byte(in.Secrets.RedisPassword),
			keyRedisConf:     []byte(redisConf(in)),
		}), nil
}

func redisFrontService(in Input) (any, error) {
	if !in.managedRedis() {
		return nil, nil
	}
	return coreac.Service(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.owner()).
		WithSpec(coreac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(SelectorLabels(in.Name, ComponentRedis)).
			WithPorts(coreac.ServicePort().
				WithName(redisPortName).
				WithProtocol(corev1.ProtocolTCP).
				WithPort(redisPort).
				WithTargetPort(intstr.FromString(redisPortName)))), nil
}

// redisDeployment runs one Redis. Recreate, because two at once would split the fleet in halves
// that do not hear each other.
func redisDeployment(in Input) (any, error) {
	if !in.managedRedis() {
		return nil, nil
	}
	resources, err := convert[coreac.ResourceRequirementsApplyConfiguration](in.Spec.Redis.Managed.Resources)
	if err != nil {
		return nil, err
	}
	container := coreac.Container().
		WithName(ComponentRedis).
		WithImage(in.Images.Redis).
		WithCommand("redis-server", redisConfDir+"/"+keyRedisConf).
		WithPorts(coreac.ContainerPort().
			WithName(redisPortName).WithContainerPort(redisPort).WithProtocol(corev1.ProtocolTCP)).
		WithEnv(secretEnv(redisCLISecret, RedisName(in.Name), KeyRedisPassword)).
		WithResources(resources).
		WithSecurityContext(containerSecurity()).
		WithStartupProbe(redisPing().WithPeriodSeconds(1).WithFailureThreshold(60)).
		WithReadinessProbe(redisPing().WithPeriodSeconds(5).WithFailureThreshold(3)).
		WithLivenessProbe(redisPing().WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithVolumeMounts(
			coreac.VolumeMount().WithName("config").WithMountPath(redisConfDir).WithReadOnly(true),
			coreac.VolumeMount().WithName("data").WithMountPath(redisDataDir))
	pod := coreac.PodSpec().
		WithServiceAccountName(GatewayName(in.Name)).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithSecurityContext(podSecurity().WithFSGroup(nonRoot)).
		WithTerminationGracePeriodSeconds(10).
		WithImagePullSecrets(pullSecrets(in)...).
		WithContainers(container).
		WithVolumes(
			coreac.Volume().WithName("config").WithSecret(coreac.SecretVolumeSource().
				WithSecretName(RedisName(in.Name)).
				WithItems(coreac.KeyToPath().WithKey(keyRedisConf).WithPath(keyRedisConf))),
			coreac.Volume().WithName("data").WithEmptyDir(coreac.EmptyDirVolumeSource()))
	return appsac.Deployment(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.owner()).
		WithSpec(appsac.DeploymentSpec().
			WithReplicas(1).
			WithRevisionHistoryLimit(revisionHistory).
			WithStrategy(appsac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)).
			WithSelector(metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, ComponentRedis))).
			WithTemplate(coreac.PodTemplateSpec().
				WithLabels(labels(in.Name, ComponentRedis)).
				WithAnnotations(map[string]string{AnnotationConfigHash: HashSecret(in.Secrets.RedisPassword, redisConf(in))}).
				WithSpec(pod))), nil
}

func redisPing() *coreac.ProbeApplyConfiguration {
	return coreac.Probe().
		WithExec(coreac.ExecAction().WithCommand("redis-cli", "-e", "-p", strconv.Itoa(redisPort), "ping")).
		WithTimeoutSeconds(5)
}

// HashSecret tells two secret contents apart on objects that more people may read than the Secret:
// without the salt nobody can try out passwords against it.
func HashSecret(salt string, contents ...string) string {
	mac := hmac.New(sha256.New, []byte(salt))
	for _, content := range contents {
		// The length in front keeps "ab","c" apart from "a","bc". Writing to a hash never fails.
		_, _ = mac.Write([]byte(strconv.Itoa(len(content)) + ":" + content))
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
