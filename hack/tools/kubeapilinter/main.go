// Command kubeapilinter checks the Go types of the API against the conventions of Kubernetes. `make lint` runs it on
// api/. It prints its findings and exits with a status other than 0 if there are any.
package main

import (
	"log"

	"golang.org/x/tools/go/analysis/multichecker"
	"sigs.k8s.io/kube-api-linter/pkg/analysis/conditions"
	"sigs.k8s.io/kube-api-linter/pkg/analysis/conflictingmarkers"
	"sigs.k8s.io/kube-api-linter/pkg/analysis/registry"
	"sigs.k8s.io/kube-api-linter/pkg/config"

	// The import registers every linter.
	_ "sigs.k8s.io/kube-api-linter/pkg/registration"
)

// enabled are the linters that run. Not among them are:
//   - nodurations: docs/decisions/0001-durations.md says why the API has durations.
//   - nobools and nomaps: an object of the core API has the same, such as a Pod's hostNetwork and its resources.
//   - optionalfields, requiredfields, minlength and maxlength: they would change the schema, which is stricter where it
//     matters by rules of its own.
//   - defaults: the marker that it prefers is for generators of Go code, which this API does not use.
//   - arrayofstruct: spec.ingress.tls has no required field because a TLS entry of an Ingress has none.
func enabled() []string {
	return []string{
		"commentstart",
		"conditions",
		"conflictingmarkers",
		"defaultorrequired",
		"duplicatemarkers",
		"integers",
		"jsontags",
		"nofloats",
		"nonpointerstructs",
		"nonullable",
		"nophase",
		"noreferences",
		"notimestamp",
		"optionalorrequired",
		"ssatags",
		"statusoptional",
		"statussubresource",
		"uniquemarkers",
	}
}

func settings() config.LintersConfig {
	return config.LintersConfig{
		"conditions": &conditions.ConditionsConfig{
			IsFirstField:     conditions.ConditionsFirstFieldWarn,
			UsePatchStrategy: conditions.ConditionsUsePatchStrategyForbid,
			UseProtobuf:      conditions.ConditionsUseProtobufForbid,
		},
		"conflictingmarkers": &conflictingmarkers.ConflictingMarkersConfig{
			Conflicts: []conflictingmarkers.ConflictSet{{
				Name:        "default_vs_required",
				Sets:        [][]string{{"kubebuilder:default"}, {"required"}},
				Description: "a field with a default is optional",
			}},
		},
	}
}

func main() {
	linters := config.Linters{Enable: enabled(), Disable: []string{config.Wildcard}}
	analyzers, err := registry.DefaultRegistry().InitializeLinters(linters, settings())
	if err != nil {
		log.Fatalln("kubeapilinter:", err)
	}
	multichecker.Main(analyzers...)
}
