package fossil_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	fdelta "github.com/shadowspore/fossil-delta"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/protocol/centrifuge/fossil"
)

// FuzzCreate makes deltas of any data: another implementation applies them.
func FuzzCreate(f *testing.F) {
	text := "Of all that changes in a table, little changes at once. "
	for _, seed := range [][2]string{
		{"", ""}, {"", "a"}, {"a", ""}, {text, text}, {text, text + text}, {text + text, text},
		{text + "1" + text, text + "2" + text}, {strings.Repeat("a", 100), strings.Repeat("a", 99) + "b"},
		{strings.Repeat("东京", 50), strings.Repeat("东", 50)}, {strings.Repeat("жш", 40), strings.Repeat("шж", 40)},
		{strings.Repeat("\xff\x80", 50), strings.Repeat("\x80\xff", 50)}, {text, "\x80" + text[1:]},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, origin, target []byte) {
		delta := fossil.Create(origin, target)
		got, err := fdelta.Apply(origin, delta)
		require.NoError(t, err, "%q", delta)
		require.True(t, bytes.Equal(target, got), "%q", delta)
		if utf8.Valid(target) {
			require.True(t, utf8.Valid(delta), "%q", delta)
		}
		require.LessOrEqual(t, len(delta), len(target)+30, "at worst it is one literal")
	})
}

func TestCreateFindsWhatIsTheSame(t *testing.T) {
	row := func(n string) string { return `{"name":"a name that stays","note":"as before","n":` + n + `},` }
	before := strings.Repeat(row("1"), 5) + row("2") + row("3") + "Zürich" + strings.Repeat("ö", 50) + row("4")
	after := row("0") + row("2") + row("3") + row("4") + "Genève" + strings.Repeat("ö", 49) + "o" + row("5")
	delta := fossil.Create([]byte(before), []byte(after))
	require.Less(t, len(delta), len(after)/2)
	require.Less(t, len(fossil.Create([]byte(after), []byte(after))), 20)
}

// BenchmarkCreate makes deltas of 64 KiB of data, some of which makes a search for the longest match slow.
func BenchmarkCreate(b *testing.B) {
	same := bytes.Repeat([]byte("a"), 64<<10)
	broken := bytes.Repeat([]byte(strings.Repeat("a", 1000)+"b"), 64)
	usual := bytes.Repeat([]byte(`{"price":12.34,"name":"a name"},`), 2<<10)
	changed := bytes.Replace(bytes.Clone(usual), []byte("12.34"), []byte("12.35"), 100)
	bytesOf := bytes.Repeat([]byte{0x80}, 64<<10)
	for name, data := range map[string][2][]byte{
		"repeated": {same, broken}, "usual": {usual, changed}, "no text": {bytesOf, bytesOf},
		"nothing in common": {same, usual},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data[1])))
			for b.Loop() {
				fossil.Create(data[0], data[1])
			}
		})
	}
}
