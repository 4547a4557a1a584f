package fleet

import (
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// CredentialsRefused says whether the broker answers but does not let the gateway in, by the words
// that Redis begins such errors with.
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
