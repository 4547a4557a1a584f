//go:build !linux

package load

import "errors"

func readProcess(int) (reading, error) {
	return reading{}, errors.New("only Linux can be asked about another process: use --metrics-url")
}
