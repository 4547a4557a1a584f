package fleet

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestCredentialsRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"WRONGPASS invalid username-password pair or user is disabled.": true,
		"NOAUTH Authentication required.":                               true,
		"dial tcp 192.0.2.1:6379: i/o timeout":                          false,
		"":                                                              false,
	} {
		report := contract.BrokerReport{State: contract.BrokerConnecting, Error: text}
		assert.Equal(t, want, CredentialsRefused(report), text)
	}
	ready := contract.BrokerReport{State: contract.BrokerReady, Error: "NOAUTH"}
	assert.False(t, CredentialsRefused(ready), "the broker is ready again and its error is an old one")
}
