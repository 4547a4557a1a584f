package measure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSettingsArrivalFlags(t *testing.T) {
	var flags []string
	for _, a := range arrivals() {
		flags = append(flags, strings.Join(Full().arrivalFlags(a), " "))
	}
	require.Equal(t, []string{
		"--hold 1s --connect-concurrency 64 --clients 12000 --channels 1200",
		"--hold 1s --connect-concurrency 16 --connect-first --clients 12000 --channels 1200",
		"--hold 1s --connect-concurrency 64 --connect-first --clients 12000 --channels 1200",
		"--hold 1s --connect-concurrency 256 --connect-first --clients 12000 --channels 1200",
		"--hold 1s --connect-concurrency 64 --subscriptions 100 --clients 1200 --channels 120",
		"--hold 1s --connect-concurrency 64 --connect-first --subscriptions 100 --clients 1200 --channels 120",
	}, flags)
	quick := Quick()
	require.LessOrEqual(t, quick.ManyChannels, quick.HandshakeClients/100, "there are as many channels as that")
}
