package controllers

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/golden"
)

// usedTypes collects the types that the operator's kinds are made of.
type usedTypes struct {
	all   *schema.Schema
	found map[string]schema.TypeDef
}

// add adds a type and those of its fields.
func (u *usedTypes) add(t *testing.T, ref schema.TypeRef) {
	t.Helper()
	if ref.NamedType != nil {
		if _, known := u.found[*ref.NamedType]; known {
			return
		}
		definition, exists := u.all.FindNamedType(*ref.NamedType)
		require.True(t, exists, *ref.NamedType)
		u.found[*ref.NamedType] = definition
	}
	atom, exists := u.all.Resolve(ref)
	require.True(t, exists)
	if atom.List != nil {
		u.add(t, atom.List.ElementType)
	}
	if atom.Map != nil {
		for _, field := range atom.Fields {
			u.add(t, field.Type)
		}
		if atom.Map.ElementType != (schema.TypeRef{}) {
			u.add(t, atom.Map.ElementType)
		}
	}
}

func TestFieldSchemaIsThatOfClientGo(t *testing.T) {
	whole := applyconfigurations.NewTypeConverter(clientgoscheme.Scheme)
	used := usedTypes{found: map[string]schema.TypeDef{}}
	for _, one := range everyObject(t) {
		if render.IsOptional(one.Kind) {
			continue
		}
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(one.Kind)
		value, err := whole.ObjectToTyped(object)
		require.NoError(t, err, one)
		used.all = value.Schema()
		used.add(t, value.TypeRef())
	}
	var types []schema.TypeDef
	for _, definition := range used.found {
		types = append(types, definition)
	}
	slices.SortFunc(types, func(a, b schema.TypeDef) int { return cmp.Compare(a.Name, b.Name) })
	want, err := yaml.Marshal(&schema.Schema{Types: types})
	require.NoError(t, err)
	golden.File(t, "fieldschema.yaml", string(want))
}
