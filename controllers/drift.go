package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// driftDetector finds out from an object's metadata alone whether the object still is what the operator applied.
//
// An annotation holds the hash of what was applied last, so it differs when the desired state has changed. When another
// client changes or removes a field, the API server takes the field from the operator's managedFields entry, so a field
// that the operator still owns has the value that the operator gave it. The detector therefore never compares values,
// which would differ wherever the API server or a webhook fills in a default or another spelling.
type driftDetector struct {
	types managedfields.TypeConverter
	// unowned are the fields that identify an object. They have no owner.
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

// change is what applying an object would do, and why. The zero value means that the object need not be applied.
type change struct {
	// outcome is outcomeCreated, outcomeUpdated or outcomeRepaired.
	outcome outcome
	// reason is a clause for messages. It is empty for outcomeCreated.
	reason string
	// by is the other client's change that made the apply necessary. It is empty when there was none.
	by offence
}

// offence is a change of one of the operator's fields by another client.
type offence struct {
	// manager is the client's field manager.
	manager string
	// field is the path of the field, such as .spec.replicas.
	field string
}

func (o offence) String() string { return o.manager + " changed " + o.field }

// reasonDesiredChanged is the reason of each outcomeUpdated.
const reasonDesiredChanged = "its desired state has changed"

// compare returns the change that makes live match desired. A nil live object does not exist yet. It returns an error
// when the managed fields of live, or the fields of desired, cannot be read.
func (d *driftDetector) compare(desired *unstructured.Unstructured, live metav1.Object) (change, error) {
	if live == nil {
		return change{outcome: outcomeCreated}, nil
	}
	desiredChanged := live.GetAnnotations()[render.AnnotationApplied] != desired.GetAnnotations()[render.AnnotationApplied]
	if desiredChanged && desired.GetKind() != kindSecret {
		return change{outcome: outcomeUpdated, reason: reasonDesiredChanged}, nil
	}
	by, err := d.offence(desired, live)
	switch {
	case err != nil:
		return change{}, err
	case desiredChanged && by.manager != "" && by.manager != unknownManager:
		// The operator keeps the values of its Secrets, whichever client wrote them.
		return change{outcome: outcomeUpdated, reason: by.String() + ", and the fleet takes over the new value", by: by}, nil
	case desiredChanged:
		return change{outcome: outcomeUpdated, reason: reasonDesiredChanged}, nil
	case by != offence{}:
		return change{outcome: outcomeRepaired, reason: by.String(), by: by}, nil
	default:
		return change{}, nil
	}
}

// kindSecret is the kind whose values the operator reads back from the live object.
const kindSecret = "Secret"

// offence returns the field of desired that the operator does not own any more in live, and the client that took it
// over. It is empty when the operator owns all of them. offence returns an error when the managed fields of live, or
// the fields of desired, cannot be read.
func (d *driftDetector) offence(desired *unstructured.Unstructured, live metav1.Object) (offence, error) {
	owned, err := ownedFields(live)
	if err != nil {
		return offence{}, err
	}
	lost, err := d.lostFields(desired, owned)
	if err != nil || lost.Empty() {
		return offence{}, err
	}
	return offenceOf(lost, live.GetManagedFields()), nil
}

// lostFields returns fields that desired sets and that are not in owned. Of a kind whose schema the operator does not
// have, it returns one of them. It returns the error of fieldsOf.
func (d *driftDetector) lostFields(desired *unstructured.Unstructured, owned *fieldpath.Set) (*fieldpath.Set, error) {
	if render.IsOptional(desired.GroupVersionKind()) {
		lost := fieldpath.NewSet()
		if path := firstUnowned(withoutIdentity(desired), owned, nil); path != nil {
			lost.Insert(path)
		}
		return lost, nil
	}
	wanted, err := d.fieldsOf(desired)
	if err != nil {
		return nil, err
	}
	return wanted.Difference(owned), nil
}

// unknownManager stands for the client that removed a field: a field that is not there has no manager.
const unknownManager = "another client"

// offenceOf returns the first of the lost fields that another client manages, with that client, or else the first one.
func offenceOf(lost *fieldpath.Set, entries []metav1.ManagedFieldsEntry) offence {
	for _, entry := range entries {
		if entry.Manager == render.FieldOwner || entry.FieldsV1 == nil {
			continue
		}
		taken := fieldpath.NewSet()
		if err := taken.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			// The message is then less precise.
			continue
		}
		if field := firstPath(lost.Intersection(taken)); field != "" {
			return offence{managerName(entry), field}
		}
	}
	return offence{unknownManager, firstPath(lost)}
}

// managerName returns the name of the entry's field manager, with the subresource that it wrote through.
func managerName(entry metav1.ManagedFieldsEntry) string {
	if entry.Subresource == "" {
		return entry.Manager
	}
	return entry.Manager + " (subresource " + entry.Subresource + ")"
}

// isOwnApply reports whether the entry is of the operator's applies.
func isOwnApply(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == render.FieldOwner && entry.Operation == metav1.ManagedFieldsOperationApply &&
		entry.Subresource == ""
}

// fieldsOf returns the fields that desired sets, without those that have no owner. It returns an error when the kind is
// unknown or a field does not fit it.
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

// ownedFields returns the fields that the operator owns by its applies. It returns an error when a managedFields entry
// cannot be decoded.
func ownedFields(live metav1.Object) (*fieldpath.Set, error) {
	owned := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		if !isOwnApply(entry) || entry.FieldsV1 == nil {
			continue
		}
		if err := owned.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			return nil, fmt.Errorf("read the managed fields of %s: %w", live.GetName(), err)
		}
	}
	return owned, nil
}

// applied returns what the operator applied last of an object, by the fields that it still owns. It returns an error
// when the managed fields of live cannot be read, or the kind is unknown.
func (d *driftDetector) applied(live client.Object, kind schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind.Kind, live.GetName(), err)
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(kind)
	all, err := d.types.ObjectToTyped(object, typed.AllowDuplicates)
	if err != nil {
		return nil, fmt.Errorf("understand the fields of %s %s: %w", kind.Kind, live.GetName(), err)
	}
	owned, err := ownedFields(live)
	if err != nil {
		return nil, err
	}
	content, _ = all.ExtractItems(owned.Leaves()).AsValue().Unstructured().(map[string]any)
	found := &unstructured.Unstructured{Object: content}
	found.SetGroupVersionKind(kind)
	found.SetNamespace(live.GetNamespace())
	found.SetName(live.GetName())
	return found, nil
}

// firstPath returns one of the fields, for a message.
func firstPath(set *fieldpath.Set) string {
	var first string
	// The set's iterator panics when a loop leaves it early, so Iterate visits all fields.
	set.Iterate(func(path fieldpath.Path) {
		if first == "" {
			first = path.String()
		}
	})
	return first
}
