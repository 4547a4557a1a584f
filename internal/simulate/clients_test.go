package simulate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

func TestParseClients(t *testing.T) {
	mine := layerOf(time.Second)
	mine.Name = "mine"
	shares, err := ParseClients("stompjs=30,mine=70", []reconnect.Layer{mine})
	require.NoError(t, err)
	require.InDelta(t, 30, shares[0].Weight, 0)
	require.Equal(t, layerOf(5*time.Second).Waits, shares[0].Layer.Waits)
	require.Equal(t, Share{mine, 70}, shares[1])
	for text, want := range map[string]string{
		"":                    `unknown layer ""`,
		"stomp":               `unknown layer "stomp": use centrifuge`,
		"stompjs=0":           `"0" is no share`,
		"stompjs=-1":          `"-1" is no share`,
		"stompjs=x":           `"x" is no share`,
		"stompjs=1,stompjs=2": "stompjs is there twice",
	} {
		_, err := ParseClients(text, nil)
		require.ErrorContains(t, err, want, text)
	}
}

func TestParseLayerNamesTheFlag(t *testing.T) {
	_, err := ParseLayer("mine")
	require.EqualError(t, err, `--layer: "mine": give a name and a delay, like mine=delay:1s-5s`)
}

func TestParseEventReadsWhatStringWrites(t *testing.T) {
	for _, text := range []string{
		"rollout", "rollout@30s", "scale-in=3@5m0s", "scale-out=2",
		"zone-loss@1h0m0s", "node-loss=2", "redis-loss=1m30s@10s", "kill=4",
	} {
		e, err := ParseEvent(text)
		require.NoError(t, err)
		require.Equal(t, text, e.String())
	}
	for text, want := range map[string]string{
		"kill": "kill=1", "node-loss@5s": "node-loss=1@5s", "redis-loss": "redis-loss=1m0s",
	} {
		e, err := ParseEvent(text)
		require.NoError(t, err)
		require.Equal(t, want, e.String())
	}
	for text, want := range map[string]string{
		"": "unknown event: use rollout, scale-in=N, scale-out=N, zone-loss, node-loss=N, redis-loss=TIME, " +
			"kill=N",
		"rolout":         "unknown event",
		"scale-in":       "give a number of 1 or more, like scale-in=2",
		"scale-in=0":     "give a number of 1 or more",
		"scale-out":      "give a number of 1 or more, like scale-out=2",
		"kill=x":         "give a number of 1 or more, like kill=2",
		"rollout=3":      "rollout takes no value",
		"redis-loss=2":   "give a time, like redis-loss=1m",
		"redis-loss=-2s": "give a time, like redis-loss=1m",
		"rollout@soon":   `"soon" is no time`,
		"rollout@-1s":    `"-1s" is no time`,
		"rollout@":       `"" is no time`,
	} {
		_, err := ParseEvent(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestParseRangeReadsWhatStringWrites(t *testing.T) {
	for _, text := range []string{"10s", "8s-12s", "500ms-1.5s", "0s"} {
		r, err := ParseRange("pod-start", text)
		require.NoError(t, err)
		require.Equal(t, text, r.String())
	}
	for _, text := range []string{"", "10", "12s-8s", "-8s", "8s-", "8s-9s-10s"} {
		_, err := ParseRange("pod-start", text)
		require.ErrorContains(t, err, "--pod-start: ", text)
	}
}
