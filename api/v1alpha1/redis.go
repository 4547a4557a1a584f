package v1alpha1

// RedisSpec is the Redis that carries messages between gateways: managed, external, or none.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.managed) && has(self.external))",message="managed and external exclude each other: remove spec.redis.managed or spec.redis.external"
type RedisSpec struct {
	// managed is one small Redis that the operator runs beside the gateways. It keeps nothing on
	// disk and is not highly available: good for trying out, and for fleets that can miss messages
	// while it restarts.
	// +optional
	Managed *ManagedRedis `json:"managed,omitempty"`

	// external is a Redis that somebody else runs.
	// +optional
	External *ExternalRedis `json:"external,omitempty"`
}

// ManagedRedis is the Redis that the operator runs.
type ManagedRedis struct {
	// resources of the Redis container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitzero"`
}

// RedisMode is how an external Redis is laid out.
//
// +kubebuilder:validation:Enum=Standalone;Sentinel;Cluster
type RedisMode string

// The layouts of an external Redis.
const (
	RedisStandalone RedisMode = "Standalone"
	RedisSentinel   RedisMode = "Sentinel"
	RedisCluster    RedisMode = "Cluster"
)

// ExternalRedis is a Redis that somebody else runs.
//
// +kubebuilder:validation:XValidation:rule="(self.mode == 'Sentinel') == (has(self.masterName) && self.masterName.size() > 0)",message="is for Sentinel, and needed there: set spec.redis.external.masterName with mode Sentinel, and remove it with any other mode",fieldPath=".masterName"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Standalone' || self.addresses.size() == 1",message="mode Standalone takes exactly one address: keep one, or set spec.redis.external.mode to Sentinel or Cluster",fieldPath=".addresses"
type ExternalRedis struct {
	// mode is Standalone, Sentinel or Cluster. It cannot be changed: gateways in two modes would not
	// hear each other.
	// +optional
	// +kubebuilder:default=Standalone
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="cannot be changed, gateways in two modes would not hear each other: create a new WebSocketCluster"
	Mode RedisMode `json:"mode,omitempty"`

	// addresses are host:port of the Redis, of the Sentinels, or of some nodes of the Redis Cluster.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.all(a, a.matches('^([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]]):[0-9]{1,5}$') && int(a.substring(a.lastIndexOf(':') + 1)) >= 1 && int(a.substring(a.lastIndexOf(':') + 1)) <= 65535)",message="each must be host:port without a scheme, such as redis.example.com:6379"
	Addresses []string `json:"addresses"`

	// masterName is the name under which the Sentinels watch the Redis.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	MasterName string `json:"masterName,omitempty"`

	// credentialsSecretRef names a Secret with the key password, and username where the Redis uses
	// ACLs. A changed Secret rolls the gateways.
	// +optional
	CredentialsSecretRef *LocalReference `json:"credentialsSecretRef,omitempty"`
}
