package v1alpha1

// RedisSpec configures the Redis that carries messages between gateways: managed, external, or none. It can be changed
// from managed to external, and back, only while spec.replicas is 0.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.managed) && has(self.external))",message="managed and external exclude each other: remove spec.redis.managed or spec.redis.external"
type RedisSpec struct {
	// managed is a single Redis that the operator runs. It does not persist data and is not highly available: use it for
	// tests, and for fleets that tolerate the loss of messages while it restarts. It excludes external.
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
