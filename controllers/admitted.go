package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// shortenedGracePeriod returns the problem with a Deployment that is as the operator applied it, and whose grace period
// an admission policy has made shorter than the drain, or nil. The API server counts the policy's value as the
// operator's own, so nothing has to be repaired.
func shortenedGracePeriod(object render.Object, live client.Object) *status.Problem {
	deployment, isDeployment := live.(*appsv1.Deployment)
	if !isDeployment || !object.IsGateway() {
		return nil
	}
	wanted, found, err := unstructured.NestedInt64(object.Desired.Object,
		"spec", "template", "spec", "terminationGracePeriodSeconds")
	admitted := deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
	if err != nil || !found || admitted == nil || *admitted >= wanted {
		return nil
	}
	return &status.Problem{
		Reason: v1alpha1.ReasonGracePeriodShortened,
		Message: fmt.Sprintf("the %s has terminationGracePeriodSeconds %d instead of %d, by an admission policy: gateways "+
			"that drain are killed before all their clients have moved: exempt the Deployment from the policy, or shorten "+
			"spec.drain.timeout by %d s", object, *admitted, wanted, wanted-*admitted),
	}
}
