package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// RedisSpec configures the Redis that carries messages between gateways: managed, external, or none. It can be changed
// from managed to external, and back, only while spec.replicas is 0.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.managed) && has(self.external))",message="managed and external exclude each other: remove spec.redis.managed or spec.redis.external"
type RedisSpec struct {
	// managed is a single Redis that the operator runs. It is not highly available, and persists data only with storage:
	// use it for tests, and for fleets that tolerate the loss of messages while it restarts. It excludes external.
	// +optional
	Managed *ManagedRedis `json:"managed,omitempty"`

	// external is a Redis that the operator does not run. It excludes managed.
	// +optional
	External *ExternalRedis `json:"external,omitempty"`
}

// ManagedRedis configures the Redis that the operator runs.
type ManagedRedis struct {
	// resources are the resource requests and limits of the Redis container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitzero"`

	// storage keeps the data of the Redis on a volume, so that revocations and results of idempotent publishes outlive
	// its pod. Histories begin anew all the same. It can be added or removed only while spec.replicas is 0. If it is not
	// set, the data is lost with the Redis' process.
	// +optional
	Storage *RedisStorage `json:"storage,omitempty"`

	// placement says on which nodes the Redis may run. A change of it replaces the Redis' pod.
	// +optional
	Placement PlacementSpec `json:"placement,omitzero"`
}

// RedisStorage configures the volume of the managed Redis. The volume is deleted with the WebSocketCluster.
//
// +kubebuilder:validation:XValidation:rule="has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",message="cannot be changed, because a volume cannot change its class: with spec.replicas 0, remove spec.redis.managed.storage and then add it with the new class",fieldPath=".storageClassName"
type RedisStorage struct {
	// size is the size of the volume, at least 64Mi, such as 1Gi. It can be raised if the storage class allows that, and
	// never be lowered.
	// +required
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('64Mi'))",message="must be a quantity of at least 64Mi, such as 1Gi"
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || !isQuantity(string(oldSelf)) || !quantity(string(self)).isLessThan(quantity(string(oldSelf)))",message="cannot be lowered, because a volume cannot shrink: keep the size, or with spec.replicas 0 remove spec.redis.managed.storage and then add it with the new size"
	Size resource.Quantity `json:"size,omitzero"`

	// storageClassName is the name of the StorageClass of the volume, 1 to 253 characters. It cannot be changed. If it is
	// not set, the cluster's default class is used.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// PlacementSpec says on which nodes a pod may run.
type PlacementSpec struct {
	// nodeSelector are the labels that a node must have to run the pod, at most 64.
	// +optional
	// +mapType=atomic
	NodeSelector NodeLabels `json:"nodeSelector,omitempty"`

	// tolerations are the tolerations of the pod.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity is the scheduling affinity of the pod.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// priorityClassName is the name of the PriorityClass of the pod, at most 253 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
}

// RedisMode is the topology of an external Redis.
//
// +kubebuilder:validation:Enum=Standalone;Sentinel;Cluster
type RedisMode string

// The values of RedisMode.
const (
	// RedisStandalone is a single Redis.
	RedisStandalone RedisMode = "Standalone"
	// RedisSentinel is a master with replicas that Sentinels watch.
	RedisSentinel RedisMode = "Sentinel"
	// RedisCluster is a Redis Cluster.
	RedisCluster RedisMode = "Cluster"
)

// ExternalRedis configures a Redis that the operator does not run.
//
// +kubebuilder:validation:XValidation:rule="(self.mode == 'Sentinel') == (has(self.masterName) && self.masterName.size() > 0)",message="is required with mode Sentinel and not allowed with another mode: set or remove spec.redis.external.masterName, or change spec.redis.external.mode",fieldPath=".masterName"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Standalone' || self.addresses.size() == 1",message="mode Standalone requires exactly one address: keep one, or set spec.redis.external.mode to Sentinel or Cluster",fieldPath=".addresses"
type ExternalRedis struct {
	// mode is the topology of the Redis: Standalone, Sentinel or Cluster. It can be changed only while spec.replicas is 0,
	// because gateways in different modes do not receive each other's messages. Defaults to Standalone.
	// +optional
	// +kubebuilder:default=Standalone
	Mode RedisMode `json:"mode,omitempty"`

	// addresses are the addresses, as host:port, of the Redis, of the Sentinels, or of some nodes of the Redis Cluster, 1
	// to 32. Standalone takes exactly one. A change rolls the gateways. Until the rollout is over, messages pass between
	// old and new gateways only if both addresses lead to the same Redis.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.all(a, a.matches('^([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]]):[0-9]{1,5}$') && int(a.substring(a.lastIndexOf(':') + 1)) >= 1 && int(a.substring(a.lastIndexOf(':') + 1)) <= 65535)",message="each must be host:port without a scheme, such as redis.example.com:6379"
	Addresses []string `json:"addresses"`

	// masterName is the name of the master that the Sentinels watch. It is required with mode Sentinel and not allowed
	// with another mode.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	MasterName string `json:"masterName,omitempty"`

	// credentialsSecretRef names the Secret with the credentials: the key password, and the key username if Redis uses
	// ACLs. A change of the Secret rolls the gateways. If it is not set, gateways connect without credentials.
	// +optional
	CredentialsSecretRef *LocalReference `json:"credentialsSecretRef,omitempty"`
}
