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

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

const (
	redisPort      = 6379
	redisPortName  = "redis"
	redisConfDir   = "/etc/redis"
	redisDataDir   = "/data"
	redisCLISecret = "REDISCLI_AUTH" //nolint:gosec // the name of a variable, not a credential
)

func redisAddress(in Input) string { return RedisName(in.Name) + ":" + strconv.Itoa(redisPort) }

// redisConf returns the configuration file of the managed Redis. Without storage it persists nothing, so that it
// restarts quickly. With storage it loses at most the last second of writes.
func redisConf(in Input) string {
	appendOnly := "no"
	if redisStorage(in) != nil {
		appendOnly = "yes"
	}
	return strings.Join([]string{
		"bind * -::*",
		"port " + strconv.Itoa(redisPort),
		"dir " + redisDataDir,
		`save ""`,
		"appendonly " + appendOnly,
		"requirepass " + in.Secrets.RedisPassword,
		"",
	}, "\n")
}

// redisStorage returns the storage of the managed Redis, or nil where it has none.
func redisStorage(in Input) *v1alpha1.RedisStorage {
	if !in.managedRedis() {
		return nil
	}
	return in.Spec.Redis.Managed.Storage
}

// redisVolumeClaim returns the claim of the volume with the managed Redis' data, or nil where the spec has no storage.
func redisVolumeClaim(in Input) (any, error) {
	storage := redisStorage(in)
	if storage == nil {
		return nil, nil
	}
	spec := coreac.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithResources(coreac.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: storage.Size}))
	if storage.StorageClassName != nil {
		spec.WithStorageClassName(*storage.StorageClassName)
	}
	return coreac.PersistentVolumeClaim(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.lastOwner()).
		WithSpec(spec), nil
}

// redisCredentials returns the Secret with the managed Redis' password. The configuration file is in it too, because it
// has the password.
func redisCredentials(in Input) (any, error) {
	if !in.managedRedis() {
		return nil, nil
	}
	return coreac.Secret(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.lastOwner()).
		WithType(corev1.SecretTypeOpaque).
		WithData(map[string][]byte{
			KeyRedisPassword: []byte(in.Secrets.RedisPassword),
			keyRedisConf:     []byte(redisConf(in)),
		}), nil
}

// redisService returns the Service of the managed Redis.
func redisService(in Input) (any, error) {
	if !in.managedRedis() {
		return nil, nil
	}
	return coreac.Service(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.lastOwner()).
		WithSpec(coreac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(SelectorLabels(in.Name, ComponentRedis)).
			WithPorts(coreac.ServicePort().
				WithName(redisPortName).
				WithProtocol(corev1.ProtocolTCP).
				WithPort(redisPort).
				WithTargetPort(intstr.FromString(redisPortName)))), nil
}

// redisDeployment returns the Deployment of the managed Redis. Its strategy is Recreate: with two Redis at once, the
// gateways of one would not receive the messages of the other's.
func redisDeployment(in Input) (any, error) {
	if !in.managedRedis() {
		return nil, nil
	}
	pod, err := redisPod(in)
	if err != nil {
		return nil, err
	}
	return appsac.Deployment(RedisName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentRedis)).
		WithOwnerReferences(in.lastOwner()).
		WithSpec(appsac.DeploymentSpec().
			WithReplicas(1).
			WithRevisionHistoryLimit(revisionHistory).
			WithStrategy(appsac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)).
			WithSelector(metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, ComponentRedis))).
			WithTemplate(coreac.PodTemplateSpec().
				WithLabels(labels(in.Name, ComponentRedis)).
				WithAnnotations(map[string]string{
					AnnotationConfigHash: HashSecret(in.Secrets.RedisPassword, redisConf(in)),
				}).
				WithSpec(pod))), nil
}

func redisPod(in Input) (*coreac.PodSpecApplyConfiguration, error) {
	container, err := redisContainer(in)
	if err != nil {
		return nil, err
	}
	pod := fleetPod(in).
		WithTerminationGracePeriodSeconds(10).
		WithContainers(container).
		WithVolumes(
			coreac.Volume().WithName("config").WithSecret(coreac.SecretVolumeSource().
				WithSecretName(RedisName(in.Name)).
				WithItems(coreac.KeyToPath().WithKey(keyRedisConf).WithPath(keyRedisConf))),
			redisData(in))
	return pod, place(pod, in.Spec.Redis.Managed.Placement)
}

// redisData returns the volume with the managed Redis' data.
func redisData(in Input) *coreac.VolumeApplyConfiguration {
	volume := coreac.Volume().WithName("data")
	if redisStorage(in) != nil {
		return volume.WithPersistentVolumeClaim(coreac.PersistentVolumeClaimVolumeSource().
			WithClaimName(RedisName(in.Name)))
	}
	return volume.WithEmptyDir(coreac.EmptyDirVolumeSource())
}

// Numbers of startup probes, a second apart, until the managed Redis counts as failed. With storage it reads its data
// first, and answers no probe until it is done.
const (
	redisStartupProbes        = 60
	redisStorageStartupProbes = 1800
)

func redisContainer(in Input) (*coreac.ContainerApplyConfiguration, error) {
	resources, err := convert[coreac.ResourceRequirementsApplyConfiguration](in.Spec.Redis.Managed.Resources)
	if err != nil {
		return nil, err
	}
	startupProbes := int32(redisStartupProbes)
	if redisStorage(in) != nil {
		startupProbes = redisStorageStartupProbes
	}
	return coreac.Container().
		WithName(ComponentRedis).
		WithImage(in.Images.Redis).
		WithCommand("redis-server", redisConfDir+"/"+keyRedisConf).
		WithPorts(coreac.ContainerPort().
			WithName(redisPortName).WithContainerPort(redisPort).WithProtocol(corev1.ProtocolTCP)).
		WithEnv(secretEnv(redisCLISecret, RedisName(in.Name), KeyRedisPassword)).
		WithResources(resources).
		WithSecurityContext(containerSecurity()).
		WithStartupProbe(redisPing().WithPeriodSeconds(1).WithFailureThreshold(startupProbes)).
		WithReadinessProbe(redisPing().WithPeriodSeconds(5).WithFailureThreshold(3)).
		WithLivenessProbe(redisPing().WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithVolumeMounts(
			coreac.VolumeMount().WithName("config").WithMountPath(redisConfDir).WithReadOnly(true),
			coreac.VolumeMount().WithName("data").WithMountPath(redisDataDir)), nil
}

// redisPing returns a probe that sends PING to Redis. redis-cli reads the password from its environment.
func redisPing() *coreac.ProbeApplyConfiguration {
	return coreac.Probe().
		WithExec(coreac.ExecAction().WithCommand("redis-cli", "-e", "-p", strconv.Itoa(redisPort), "ping")).
		WithTimeoutSeconds(5)
}

// HashSecret returns a keyed hash of the contents. Annotations of pods have it, which more people may read than the
// Secrets: without the salt, the hash does not help to guess a password.
func HashSecret(salt string, contents ...string) string {
	mac := hmac.New(sha256.New, []byte(salt))
	for _, content := range contents {
		// The length before each content makes the hashes of "ab","c" and "a","bc" different. Writing to a hash never
		// fails.
		_, _ = mac.Write([]byte(strconv.Itoa(len(content)) + ":" + content))
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
