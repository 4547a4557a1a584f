package redis

import (
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// reasonOf returns the reason that the operator reports for an error of Redis. The client library does not keep the
// type of every error, as for one of a sentinel, so that the words decide with which Redis begins its answers.
func reasonOf(err error) contract.BrokerReason {
	for _, word := range []string{"WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH"} {
		if strings.Contains(err.Error(), word) {
			return contract.BrokerCredentialsRefused
		}
	}
	return contract.BrokerUnreachable
}
