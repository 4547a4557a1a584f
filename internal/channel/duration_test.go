package channel_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestDurationIsAText(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"1m30s"`: 90 * time.Second,
		`"250ms"`: 250 * time.Millisecond,
		`"-1s"`:   -time.Second,
		`"0"`:     0,
	} {
		var d channel.Duration
		require.NoError(t, json.Unmarshal([]byte(text), &d), text)
		require.Equal(t, want, time.Duration(d), text)
		again, err := json.Marshal(d)
		require.NoError(t, err)
		require.Equal(t, `"`+want.String()+`"`, string(again))
	}
	for _, text := range []string{`60`, `"60"`, `""`, `"1d"`, `"soon"`, `null`, `{}`, `"9999999999h"`} {
		d := channel.Duration(time.Hour)
		require.ErrorContains(t, json.Unmarshal([]byte(text), &d), "a text like 30s or 5m", text)
		require.Equal(t, channel.Duration(time.Hour), d, "%s must change nothing", text)
	}
}

func TestRuleOmitsWhatIsNotSet(t *testing.T) {
	short, err := json.Marshal(channel.Rules{{Pattern: "a"}})
	require.NoError(t, err)
	require.JSONEq(t, `[{"pattern":"a"}]`, string(short))
	long, err := json.Marshal(channel.Rules{{Pattern: "a", History: kept(5, time.Minute)}})
	require.NoError(t, err)
	require.JSONEq(t, `[{"pattern":"a","history":{"size":5,"ttl":"1m0s"}}]`, string(long))
}

func FuzzDuration(f *testing.F) {
	f.Add(`"1m30s"`)
	f.Add(`5`)
	f.Fuzz(func(t *testing.T, text string) {
		var d channel.Duration
		if json.Unmarshal([]byte(text), &d) != nil {
			return
		}
		again, err := json.Marshal(d)
		require.NoError(t, err)
		var same channel.Duration
		require.NoError(t, json.Unmarshal(again, &same))
		require.Equal(t, d, same)
	})
}
