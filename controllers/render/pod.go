package render

import (
	corev1 "k8s.io/api/core/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// nonRoot is the ID of the user and of the group that every container of a fleet runs as.
const nonRoot = 65532

// revisionHistory is the number of old ReplicaSets that are kept for a rollback.
const revisionHistory = 3

// podSecurity returns the security context of a pod. Together with containerSecurity it meets the restricted Pod
// Security Standard.
func podSecurity() *coreac.PodSecurityContextApplyConfiguration {
	return coreac.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithRunAsUser(nonRoot).
		WithRunAsGroup(nonRoot).
		WithFSGroup(nonRoot).
		WithSeccompProfile(coreac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

// containerSecurity returns the security context of a container.
func containerSecurity() *coreac.SecurityContextApplyConfiguration {
	return coreac.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithReadOnlyRootFilesystem(true).
		WithCapabilities(coreac.Capabilities().WithDrop("ALL"))
}

// fleetPod returns what every pod of a fleet has. Pods get no token, because they do not call the API server.
func fleetPod(in Input) *coreac.PodSpecApplyConfiguration {
	return coreac.PodSpec().
		WithServiceAccountName(GatewayName(in.Name)).
		WithAutomountServiceAccountToken(false).
		// With service links, a Service whose name begins with wsfleet would set a WSFLEET_ variable in the gateway.
		WithEnableServiceLinks(false).
		WithSecurityContext(podSecurity()).
		WithImagePullSecrets(pullSecrets(in)...)
}

func pullSecrets(in Input) []*coreac.LocalObjectReferenceApplyConfiguration {
	refs := make([]*coreac.LocalObjectReferenceApplyConfiguration, 0, len(in.Spec.ImagePullSecrets))
	for _, ref := range in.Spec.ImagePullSecrets {
		refs = append(refs, coreac.LocalObjectReference().WithName(ref.Name))
	}
	return refs
}

// secretEnv returns an environment variable with the value of a Secret's key.
func secretEnv(variable, secret, key string) *coreac.EnvVarApplyConfiguration {
	return coreac.EnvVar().WithName(variable).WithValueFrom(coreac.EnvVarSource().
		WithSecretKeyRef(coreac.SecretKeySelector().WithName(secret).WithKey(key)))
}

// place sets on which nodes a pod may run. It returns an error if a field cannot be converted, which the schema rules
// out.
func place(pod *coreac.PodSpecApplyConfiguration, placement v1alpha1.PlacementSpec) error {
	tolerations, err := convertAll[coreac.TolerationApplyConfiguration](placement.Tolerations)
	if err != nil {
		return err
	}
	pod.WithTolerations(tolerations...)
	if len(placement.NodeSelector) > 0 {
		pod.WithNodeSelector(placement.NodeSelector.Strings())
	}
	if placement.PriorityClassName != "" {
		pod.WithPriorityClassName(placement.PriorityClassName)
	}
	if placement.Affinity != nil {
		pod.Affinity, err = convert[coreac.AffinityApplyConfiguration](placement.Affinity)
	}
	return err
}
