package recipes_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSettingRecipeReachesHelpCRDAndConfigFile(t *testing.T) {
	copied := copyTree(t)
	// The recipe's own commands run the tests: that of the contract fails when the gateway does not load the setting.
	copied.follow(t, readRecipe(t, "setting"))

	require.Contains(t, copied.read(t, "cmd/gateway/testdata/help.txt"), "--max-examples number")
	crd := copied.read(t, "config/crd/bases/wsfleet.dev_websocketclusters.yaml")
	require.Contains(t, crd, "maxExamples is the maximum number of examples")
	rendered := copied.read(t, "controllers/render/testdata/values-unlike-defaults.out.yaml")
	require.Contains(t, rendered, "max-examples: 20")
	require.Contains(t, copied.read(t, "docs/websocketcluster.md"), "maxExamples")
}
