package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// driftDetector tells whether an object still is what the operator applied, from its metadata alone.
//
// Two things together say so. The hash in the annotation is of what was applied last, so a new
// desire shows. And the API server takes a field from its owner's managedFields as soon as anybody
// else changes or removes it, so that a field which the operator owns still has the value it gave.
// Values need not be compared, which would trip over every default and spelling that the API server
// or a webhook puts in.
type driftDetector struct {
	types managedfields.TypeConverter
	// unowned are fields that identify an object; nobody owns them.
	unowned *fieldpath.Set
}

func newDriftDetector(types managedfields.TypeConverter) *driftDetector {
	return &driftDetector{
		types: types,
		unowned: fieldpath.NewSet(
			fieldpath.MakePathOrDie("apiVersion"),
			fieldpath.MakePathOrDie("kind"),
			fieldpath.MakePathOrDie("metadata", "name"),
			fieldpath.MakePathOrDie("metadata", "namespace"),
		),
	}
}

// whyNewDesire is the one reason for an apply that is not drift.
const whyNewDesire = "its desired state has changed"

// differs says why the object must be applied again, or "" when it need not.
func (d *driftDetector) differs(desired *unstructured.Unstructured, live metav1.Object) (string, error) {
	if live.GetAnnotations()[render.AnnotationApplied] != desired.GetAnnotations()[render.AnnotationApplied] {
		return whyNewDesire, nil
	}
	owned, err := ownedFields(live)
	if err != nil {
		return "", err
	}
	wanted, err := d.fieldsOf(desired)
	if err != nil {
		return "", err
	}
	if lost := wanted.Difference(owned); !lost.Empty() {
		return "somebody else changed " + firstPath(lost), nil
	}
	return "", nil
}

func (d *driftDetector) fieldsOf(desired *unstructured.Unstructured) (*fieldpath.Set, error) {
	typed, err := d.types.ObjectToTyped(desired)
	if err != nil {
		return nil, fmt.Errorf("understand the fields of %s %s: %w", desired.GetKind(), desired.GetName(), err)
	}
	fields, err := typed.ToFieldSet()
	if err != nil {
		return nil, fmt.Errorf("list the fields of %s %s: %w", desired.GetKind(), desired.GetName(), err)
	}
	return fields.Leaves().Difference(d.unowned), nil
}

// ownedFields are what the operator owns by its applies.
func ownedFields(live metav1.Object) (*fieldpath.Set, error) {
	owned := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != render.FieldOwner || entry.Operation != metav1.ManagedFieldsOperationApply ||
			entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		if err := owned.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			return nil, fmt.Errorf("read the managed fields of %s: %w", live.GetName(), err)
		}
	}
	return owned, nil
}

// firstPath is one of the fields, for a message.
func firstPath(set *fieldpath.Set) string {
	var first string
	// Iterate, because the set's iterator panics when it is left early.
	set.Iterate(func(path fieldpath.Path) {
		if first == "" {
			first = path.String()
		}
	})
	return first
}
