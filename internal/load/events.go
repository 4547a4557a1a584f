package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
)

// eventInterval is how often the file of the events is read. What happens within it after a line was written may count
// for the event before.
const eventInterval = 10 * time.Millisecond

// eventLines reads lines that are appended to a file. It is nil when there is no file.
type eventLines struct {
	file *os.File
	// partial is the beginning of a line whose end has not been written yet.
	partial []byte
}

// openEvents opens the file of the events behind what it holds already, and creates it when there is none. It returns
// an *Error when that fails, and nil for an empty name.
func openEvents(name string) (*eventLines, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // there are no events
	}
	file, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o600)
	if err == nil {
		_, err = file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, &Error{Flag: "events", Problem: fmt.Sprintf("%v: give a file that lines can be appended to", err)}
	}
	return &eventLines{file: file}, nil
}

func (l *eventLines) close() {
	if l != nil {
		_ = l.file.Close()
	}
}

// maxLabel is the maximum number of bytes of a label. The rest of a longer line is left out.
const maxLabel = 200

// read returns the lines that were completed since the call before, without empty ones.
func (l *eventLines) read() (labels []string, err error) {
	if l == nil {
		return nil, nil
	}
	written, err := io.ReadAll(l.file)
	if err != nil {
		return nil, fmt.Errorf("--events: %w", err)
	}
	l.partial = append(l.partial, written...)
	for {
		line, rest, complete := bytes.Cut(l.partial, []byte("\n"))
		if !complete {
			return labels, l.checkPartial()
		}
		l.partial = rest
		if label := labelOf(line); label != "" {
			labels = append(labels, label)
		}
	}
}

// maxLine is the maximum number of bytes of a line.
const maxLine = 1 << 20

// checkPartial returns an error when a line does not end.
func (l *eventLines) checkPartial() error {
	if len(l.partial) > maxLine {
		return errors.New("--events: a line of more than 1 MiB: give a file with a line per event")
	}
	return nil
}

// labelOf returns a line as a label: without what a terminal would not print as it is.
func labelOf(line []byte) string {
	label := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(line[:min(len(line), maxLabel)]))
	return strings.TrimSpace(label)
}
