package fleet

import (
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// CredentialsRefused reports whether the broker answers a gateway but refuses its credentials. It goes by the words
// with which such errors of Redis begin. A broker that is ready has refused nothing, whatever its last error was.
func CredentialsRefused(broker contract.BrokerReport) bool {
	if broker.State == contract.BrokerReady {
		return false
	}
	for _, word := range []string{"WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH"} {
		if strings.Contains(broker.Error, word) {
			return true
		}
	}
	return false
}
