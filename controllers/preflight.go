package controllers

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// preflight asks the API server, by a dry run, whether it would take the gateways' Deployment before their
// configuration changes. When it refuses, preflight returns the Deployment's result with the problem, and neither of
// the two must be written: a running gateway that restarts must not read the configuration of a version that never came
// to be.
//
// Otherwise, and where there is nothing to try, it returns nil. It returns an error when the managed fields of the
// configuration cannot be read.
func (a *applier) preflight(
	ctx context.Context, objects gatewayObjects, existing inventory,
) (*objectResult, error) {
	configuration := existing.owned[objects.configuration.Ref]
	deployment := existing.owned[objects.deployment.Ref]
	if configuration == nil || configuration.GetDeletionTimestamp() != nil || deployment == nil {
		return nil, nil
	}
	difference, err := a.drift.compare(objects.configuration.Desired, configuration)
	if err != nil || difference.outcome == "" {
		return nil, err
	}
	_, err = a.serverSideApply(ctx, objects.deployment, deployment, client.DryRunAll)
	// The real apply meets any other error, such as that of a webhook that does not support dry runs.
	if apierrors.IsInvalid(err) && !isUIDConflict(err) || apierrors.IsForbidden(err) {
		return &objectResult{
			object:  objects.deployment,
			outcome: outcomeRefused,
			problem: refusalProblem(objects.deployment, err),
		}, nil
	}
	return nil, nil
}

// gatewayObjects are the objects that gateway pods start from.
type gatewayObjects struct {
	configuration, deployment render.Object
	// parts are these two and all that the Deployment needs.
	parts map[render.Ref]bool
}

// gatewayObjectsOf picks the gateways' objects from all objects of a fleet.
func gatewayObjectsOf(objects []render.Object) gatewayObjects {
	found := gatewayObjects{parts: map[render.Ref]bool{}}
	for _, object := range objects {
		if !object.IsGateway() {
			continue
		}
		if object.IsConfiguration() {
			found.configuration = object
		} else {
			found.deployment = object
		}
		found.parts[object.Ref] = true
		for _, need := range object.Needs {
			found.parts[need] = true
		}
	}
	return found
}
