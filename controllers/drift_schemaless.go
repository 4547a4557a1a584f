package controllers

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// withoutIdentity returns the object's fields without those that identify it, which have no owner.
func withoutIdentity(object *unstructured.Unstructured) map[string]any {
	fields := object.DeepCopy().Object
	for _, identity := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}} {
		unstructured.RemoveNestedField(fields, identity...)
	}
	return fields
}

// firstUnowned returns a field of wanted that is not in owned, or nil when owned has all. It is for objects of kinds
// whose schema the operator does not have: owned itself shows whether the API server merges a list, by its keys or
// values, or takes it as a whole.
func firstUnowned(wanted any, owned *fieldpath.Set, path fieldpath.Path) fieldpath.Path {
	switch typed := wanted.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(typed)) {
			element := fieldpath.PathElement{FieldName: &name}
			if lost := elementUnowned(typed[name], owned, path, element); lost != nil {
				return lost
			}
		}
	case []any:
		for i, item := range typed {
			element, found := elementOf(item, owned)
			if !found {
				return append(slices.Clone(path), fieldpath.PathElement{Index: &i})
			}
			if lost := elementUnowned(item, owned, path, element); lost != nil {
				return lost
			}
		}
	}
	return nil
}

// elementUnowned returns the element's path, or that of a field below it, that is not in owned, or nil.
func elementUnowned(
	wanted any, owned *fieldpath.Set, path fieldpath.Path, element fieldpath.PathElement,
) fieldpath.Path {
	path = append(slices.Clone(path), element)
	if below, found := owned.Children.Get(element); found {
		return firstUnowned(wanted, below, path)
	}
	if owned.Members.Has(element) {
		// The API server takes what is below as a whole.
		return nil
	}
	return path
}

// elementOf returns the path element by which owned has the item of a list.
func elementOf(item any, owned *fieldpath.Set) (fieldpath.PathElement, bool) {
	var found *fieldpath.PathElement
	match := func(element fieldpath.PathElement) {
		if found == nil && identifies(element, item) {
			found = &element
		}
	}
	owned.Members.Iterate(match)
	owned.Children.Iterate(match)
	if found == nil {
		return fieldpath.PathElement{}, false
	}
	return *found, true
}

// identifies reports whether the element is the item's: it is the item's value, or has the values of the item's keys. A
// key that the item leaves out has a default.
func identifies(element fieldpath.PathElement, item any) bool {
	if element.Value != nil {
		return value.Equals(*element.Value, value.NewValueInterface(item))
	}
	fields, isMap := item.(map[string]any)
	if element.Key == nil || !isMap {
		return false
	}
	for _, key := range *element.Key {
		if own, set := fields[key.Name]; set && !value.Equals(key.Value, value.NewValueInterface(own)) {
			return false
		}
	}
	return true
}
