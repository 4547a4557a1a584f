package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestSetupRequiresBothImages(t *testing.T) {
	for _, images := range []render.Images{{}, {Gateway: "g"}, {Redis: "r"}} {
		require.ErrorContains(t, Setup(t.Context(), nil, Options{Images: images}), "both images must be named")
	}
}

func TestCacheOptionsLimitNamespaces(t *testing.T) {
	everywhere, err := CacheOptions(nil)
	require.NoError(t, err)
	assert.Empty(t, everywhere.DefaultNamespaces)
	some, err := CacheOptions([]string{"a", "b"})
	require.NoError(t, err)
	assert.Len(t, some.DefaultNamespaces, 2)
}
