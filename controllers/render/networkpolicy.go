package render

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Values of the label app.kubernetes.io/component of the pods of the installation, which the manifests in config set.
const (
	componentOperator   = "operator"
	componentMetricsAPI = "metrics-api"
)

// gatewayNetworkPolicy limits which peers connect to gateways: those of the spec to the public port, and the operator,
// the metrics API and Prometheus to the private one. Kubelet's probes are not listed, because Kubernetes lets the node
// of a pod always connect to it. It returns nil where the spec has switched the policies off.
func gatewayNetworkPolicy(in Input) (any, error) {
	policy := in.Spec.NetworkPolicy
	if !*policy.Enabled {
		return nil, nil
	}
	public, err := peers(policy.From)
	if err != nil {
		return nil, err
	}
	metrics, err := peers(policy.MetricsFrom)
	if err != nil {
		return nil, err
	}
	return networkPolicy(in, ComponentGateway,
		networkingac.NetworkPolicyIngressRule().WithPorts(tcpPort(contract.PublicPort)).WithFrom(public...),
		networkingac.NetworkPolicyIngressRule().WithPorts(tcpPort(contract.AdminPort)).
			WithFrom(installationPeer(in, componentOperator), installationPeer(in, componentMetricsAPI)).
			WithFrom(metrics...)), nil
}

// redisNetworkPolicy lets only the fleet's own gateways connect to the managed Redis.
func redisNetworkPolicy(in Input) (any, error) {
	if !in.managedRedis() || !*in.Spec.NetworkPolicy.Enabled {
		return nil, nil
	}
	gateways := networkingac.NetworkPolicyPeer().
		WithPodSelector(metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, ComponentGateway)))
	return networkPolicy(in, ComponentRedis,
		networkingac.NetworkPolicyIngressRule().WithPorts(tcpPort(redisPort)).WithFrom(gateways)), nil
}

// networkPolicy returns the policy that lets in to the component's pods what the rules allow, and nothing else.
func networkPolicy(
	in Input, component string, rules ...*networkingac.NetworkPolicyIngressRuleApplyConfiguration,
) *networkingac.NetworkPolicyApplyConfiguration {
	name, owner := GatewayName(in.Name), in.owner()
	if component == ComponentRedis {
		name, owner = RedisName(in.Name), in.lastOwner()
	}
	return networkingac.NetworkPolicy(name, in.Namespace).
		WithLabels(labels(in.Name, component)).
		WithOwnerReferences(owner).
		WithSpec(networkingac.NetworkPolicySpec().
			WithPodSelector(metaac.LabelSelector().WithMatchLabels(SelectorLabels(in.Name, component))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress).
			WithIngress(rules...))
}

// installationPeer returns the pods of a component of the installation.
func installationPeer(in Input, component string) *networkingac.NetworkPolicyPeerApplyConfiguration {
	namespace := metaac.LabelSelector()
	if in.OperatorNamespace != "" {
		namespace.WithMatchLabels(map[string]string{corev1.LabelMetadataName: in.OperatorNamespace})
	}
	return networkingac.NetworkPolicyPeer().
		WithNamespaceSelector(namespace).
		WithPodSelector(metaac.LabelSelector().
			WithMatchLabels(map[string]string{labelName: "wsfleet", labelComponent: component}))
}

// tcpPort returns a port by its number. Not every network plugin knows the names of ports.
func tcpPort(number int32) *networkingac.NetworkPolicyPortApplyConfiguration {
	return networkingac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(number))
}

func peers(specified []v1alpha1.NetworkPeer) ([]*networkingac.NetworkPolicyPeerApplyConfiguration, error) {
	return convertAll[networkingac.NetworkPolicyPeerApplyConfiguration](specified)
}
