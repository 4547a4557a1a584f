package redis

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestReasonOf(t *testing.T) {
	for text, want := range map[string]contract.BrokerReason{
		"WRONGPASS invalid username-password pair or user is disabled.": contract.BrokerCredentialsRefused,
		"NOAUTH Authentication required.":                               contract.BrokerCredentialsRefused,
		"NOPERM this user has no permissions to run the command":        contract.BrokerCredentialsRefused,
		"ERR AUTH <password> called without any password configured":    contract.BrokerCredentialsRefused,
		"dial tcp 192.0.2.1:6379: i/o timeout":                          contract.BrokerUnreachable,
		"":                                                              contract.BrokerUnreachable,
	} {
		require.Equal(t, want, reasonOf(errors.New(text)), text)
		require.Equal(t, want, reasonOf(fmt.Errorf("redis: subscribe: %w", errors.New(text))), text)
	}
	require.Equal(t, contract.BrokerUnreachable, reasonOf(errNoProbe))
	require.Equal(t, contract.BrokerUnreachable, reasonOf(errSilent))
}
