package measure

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRefusedValues(t *testing.T) {
	r := &result{}
	require.NoError(t, json.Unmarshal([]byte(`{"steps":[{"clients":4000,"backAfterSeconds":8.5,"timeline":[`+
		`{"attempted":4000},{"attempted":9},{"attempted":9},{"attempted":9},{"attempted":9},`+
		`{"attempted":300},{"attempted":200},{"attempted":100},{"attempted":7}]}]}`), r))
	v, err := refusedValues(r)
	require.NoError(t, err)
	require.InDelta(t, 200, v["refused-attempts"], 1e-9)
	require.InDelta(t, 470.6, v["refused-accepted"], 0.1)

	r.Steps[0].BackAfterSeconds = 6
	_, err = refusedValues(r)
	require.ErrorContains(t, err, "more clients")
	_, err = refusedValues(&result{})
	require.Error(t, err)
}
