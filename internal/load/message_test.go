package load

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindMessageReadsAppendedMessage(t *testing.T) {
	m := message{run: 0xabcd, publisher: 7, number: 1<<32 - 1, time: 1_700_000_000_123_456_789}
	for _, size := range []int{minMessageBytes, minMessageBytes + 1, 100, 1000, 65536} {
		b := m.appendTo(nil, size)
		require.Len(t, b, size)
		require.True(t, json.Valid(b), string(b))
		for _, around := range []string{"", `{"push":{"channel":"x","pub":{"data":`} {
			got, found := findMessage(append([]byte(around), b...))
			require.True(t, found)
			require.Equal(t, m, got)
		}
	}
}

func TestFindMessageRefusesOtherText(t *testing.T) {
	whole := string(message{number: 1}.appendTo(nil, 100))
	for _, text := range []string{
		"", "{}", `{"m":"`, whole[:len(messageHead)+messageDigits-1], `{"m":"` + "zz" + whole[8:],
		string(message{number: 0}.appendTo(nil, 100)),
	} {
		_, found := findMessage([]byte(text))
		require.False(t, found, text)
	}
}

func FuzzFindMessage(f *testing.F) {
	f.Add(message{run: 1, publisher: 2, number: 3, time: 4}.appendTo(nil, 100))
	f.Add([]byte(`{"push":{"channel":"x","pub":{"data":{"m":"000100000002`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, found := findMessage(data)
		if found {
			again, _ := findMessage(m.appendTo(nil, minMessageBytes))
			require.Equal(t, m, again)
		}
	})
}
