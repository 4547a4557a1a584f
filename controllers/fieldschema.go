package controllers

import (
	_ "embed"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// fieldSchema describes the fields of the kinds that the operator applies. It is the part of client-go's description of
// all of Kubernetes' kinds that these need: the whole takes 7 MB of memory. A test compares the two, and writes the
// file with -update.
//
//go:embed fieldschema.yaml
var fieldSchema string

// newFieldTypes returns what tells the fields of objects of the scheme's kinds, as far as fieldSchema describes them.
// It returns an error when fieldSchema cannot be read.
func newFieldTypes(scheme *runtime.Scheme) (managedfields.TypeConverter, error) {
	parser, err := typed.NewParser(typed.YAMLObject(fieldSchema))
	if err != nil {
		return nil, fmt.Errorf("read the fields of Kubernetes' kinds: %w", err)
	}
	return managedfields.NewSchemeTypeConverter(scheme, parser), nil
}
