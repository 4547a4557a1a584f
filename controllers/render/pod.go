package render

import (
	corev1 "k8s.io/api/core/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
)

// nonRoot is the user and group that every container of a fleet runs as.
const nonRoot = 65532

// revisionHistory is how many old ReplicaSets are kept to go back to.
const revisionHistory = 3

// podSecurity and containerSecurity together meet the restricted Pod Security Standard.
func podSecurity() *coreac.PodSecurityContextApplyConfiguration {
	return coreac.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithRunAsUser(nonRoot).
		WithRunAsGroup(nonRoot).
		WithSeccompProfile(coreac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

func containerSecurity() *coreac.SecurityContextApplyConfiguration {
	return coreac.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithReadOnlyRootFilesystem(true).
		WithCapabilities(coreac.Capabilities().WithDrop("ALL"))
}

func pullSecrets(in Input) []*coreac.LocalObjectReferenceApplyConfiguration {
	refs := make([]*coreac.LocalObjectReferenceApplyConfiguration, 0, len(in.Spec.ImagePullSecrets))
	for _, ref := range in.Spec.ImagePullSecrets {
		refs = append(refs, coreac.LocalObjectReference().WithName(ref.Name))
	}
	return refs
}

func secretEnv(variable, secret, key string) *coreac.EnvVarApplyConfiguration {
	return coreac.EnvVar().WithName(variable).WithValueFrom(coreac.EnvVarSource().
		WithSecretKeyRef(coreac.SecretKeySelector().WithName(secret).WithKey(key)))
}
