package fleetview

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Publication is a message that was published in a channel.
type Publication contract.TailPublication

// TailBegins returns what is followed from now on, in one line.
func TailBegins(s contract.TailStarted, pod string) string {
	text := fmt.Sprintf("following %s on %s", printable(s.Channel), pod)
	if s.Epoch != "" {
		text += fmt.Sprintf(" from offset %d", s.Offset+1-uint64(s.History))
	}
	return text
}

// WriteText writes the publication in one line: its offset, the user that published it, its tags and its data. It
// returns the error of w.
func (p Publication) WriteText(w io.Writer) error {
	cells := []string{none, none}
	if p.Offset > 0 {
		cells[0] = strconv.FormatUint(p.Offset, 10)
	}
	if p.User != "" {
		cells[1] = printable(p.User)
	}
	for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
		cells = append(cells, printable(key+"="+p.Tags[key]))
	}
	if p.B64Data != nil {
		cells = append(cells, "base64:"+base64.StdEncoding.EncodeToString(p.B64Data))
	} else {
		var oneLine bytes.Buffer
		// It fails only for what is no JSON, which no gateway sends.
		_ = json.Compact(&oneLine, p.Data)
		cells = append(cells, printable(oneLine.String()))
	}
	_, err := fmt.Fprintln(w, strings.Join(cells, "  "))
	return err //nolint:wrapcheck // the caller's own writer
}
