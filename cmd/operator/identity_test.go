package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Operators that elect a leader have one identity. Each other operator has its own.
func TestIdentity(t *testing.T) {
	elected := (&settings{leaderElect: true, leaderElectionNS: "system"}).identity("own")
	assert.Equal(t, "system/wsfleet-operator-heartbeat", elected.String())
	alone := (&settings{leaderElectionNS: "system"}).identity("own")
	assert.Greater(t, len(alone.Name), len(elected.Name))
	assert.Empty(t, validation.IsDNS1123Subdomain(alone.Name))
	assert.Equal(t, "own", (&settings{}).identity("own").Namespace)
	assert.Equal(t, "default", (&settings{}).identity("").Namespace, "outside of a cluster")
}
