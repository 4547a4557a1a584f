package controllers

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// dryRunServer is a fake API server that answers each dry run with answer and counts the requests.
type dryRunServer struct {
	answer         error
	dryRuns, other int
}

func (s *dryRunServer) client() client.WithWatch {
	return fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Apply: func(_ context.Context, _ client.WithWatch, _ runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			options := client.ApplyOptions{}
			options.ApplyOptions(opts)
			if len(options.DryRun) == 0 {
				s.other++
				return nil
			}
			s.dryRuns++
			return s.answer
		},
	}).Build()
}

// existing returns an inventory with the gateways' Deployment and their configuration, whose desired state has changed.
func existing(objects gatewayObjects) inventory {
	live := func(name string) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: "1", Annotations: map[string]string{render.AnnotationApplied: "old"},
		}}
	}
	return inventory{owned: map[render.Ref]client.Object{
		objects.configuration.Ref: live("configuration"),
		objects.deployment.Ref:    live("deployment"),
	}}
}

func TestPreflightRefusesOnlyWhatTheRealApplyWouldRefuse(t *testing.T) {
	kind := schema.GroupKind{Group: "apps", Kind: "Deployment"}
	invalid := func(path ...string) error {
		cause := field.Invalid(field.NewPath(path[0], path[1:]...), "x", "is wrong")
		return apierrors.NewInvalid(kind, "demo-gateway", field.ErrorList{cause})
	}
	for name, c := range map[string]struct {
		answer  error
		refused bool
	}{
		"accepted":           {nil, false},
		"invalid":            {invalid("spec", "template"), true},
		"forbidden":          {apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("quota")), true},
		"replaced meanwhile": {invalid("metadata", "uid"), false},
		"no dry runs":        {apierrors.NewBadRequest("admission webhook does not support dry run"), false},
		"unreachable":        {apierrors.NewInternalError(errors.New("etcd")), false},
	} {
		t.Run(name, func(t *testing.T) {
			server := &dryRunServer{answer: c.answer}
			objects := gatewayObjectsOf(everyObject(t))
			refused, err := newTestApplier(t, server.client()).preflight(t.Context(), objects, existing(objects))
			require.NoError(t, err)
			assert.Equal(t, 1, server.dryRuns)
			assert.Zero(t, server.other, "nothing is written")
			if !c.refused {
				assert.Nil(t, refused)
				return
			}
			require.NotNil(t, refused)
			assert.Equal(t, objects.deployment.Ref, refused.object.Ref)
			assert.True(t, refused.blocked())
			assert.Contains(t, refused.problem.Message, "Deployment demo-gateway")
		})
	}
}

func TestPreflightTriesOnlyAChangeOfTheConfiguration(t *testing.T) {
	objects := gatewayObjectsOf(everyObject(t))
	for name, change := range map[string]func(inventory){
		"no Deployment yet":    func(i inventory) { delete(i.owned, objects.deployment.Ref) },
		"no configuration yet": func(i inventory) { delete(i.owned, objects.configuration.Ref) },
		"terminating": func(i inventory) {
			i.owned[objects.configuration.Ref].SetDeletionTimestamp(&metav1.Time{})
		},
		"unchanged": func(i inventory) {
			i.owned[objects.configuration.Ref] = applied(t, objects.configuration.Desired)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := &dryRunServer{answer: errors.New("must not be asked")}
			found := existing(objects)
			change(found)
			refused, err := newTestApplier(t, server.client()).preflight(t.Context(), objects, found)
			require.NoError(t, err)
			assert.Nil(t, refused)
			assert.Zero(t, server.dryRuns)
		})
	}
}
