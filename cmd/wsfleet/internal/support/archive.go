package support

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/yaml"
)

// KindReport is the kind of a Report as a document.
const KindReport = "SupportReport"

// Report is the content of an archive, and what it lacks.
type Report struct {
	Kind string `json:"kind"`
	// Path is where the archive was written.
	Path  string `json:"path"`
	Files []File `json:"files"`
	// Missing is what could not be read.
	Missing []Missing `json:"missing,omitempty"`

	// directory is the directory in the archive.
	directory string
	madeAt    time.Time
}

// File is one file of the archive.
type File struct {
	Name string `json:"name"`
	// Bytes is the size of the content.
	Bytes   int `json:"bytes"`
	content []byte
}

// Missing is something that the archive lacks.
type Missing struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// NewReport returns a Report without files, for an archive with this directory.
func NewReport(directory string, madeAt time.Time) *Report {
	return &Report{Kind: KindReport, Files: []File{}, directory: directory, madeAt: madeAt}
}

// FileName returns the name of the archive's file where the user gives none.
func (r *Report) FileName() string { return r.directory + ".tar.gz" }

// AddObject adds a file with the YAML of v, without what may be a secret.
func (r *Report) AddObject(name string, v any) {
	value, err := Redact(v)
	if err != nil {
		r.AddMissing(name, err)
		return
	}
	content, err := yaml.Marshal(value)
	if err != nil {
		r.AddMissing(name, err)
		return
	}
	r.add(name, content)
}

// AddText adds a file with a text, without what may be a secret.
func (r *Report) AddText(name, text string) { r.add(name, []byte(RedactText(text))) }

func (r *Report) add(name string, content []byte) {
	r.Files = append(r.Files, File{Name: name, Bytes: len(content), content: content})
}

// AddMissing adds something that could not be read, and why.
func (r *Report) AddMissing(what string, reason error) {
	r.Missing = append(r.Missing, Missing{What: what, Reason: RedactText(reason.Error())})
}

// Write writes the archive, a tar file that is compressed with gzip. It ends with a list of its files and of what it
// lacks. Write returns the error of w.
func (r *Report) Write(w io.Writer) error {
	slices.SortStableFunc(r.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	var contents bytes.Buffer
	r.writeContents(&contents)
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, file := range append(slices.Clone(r.Files), File{Name: "contents.txt", content: contents.Bytes()}) {
		err := archive.WriteHeader(&tar.Header{
			Name:    r.directory + "/" + file.Name,
			Mode:    0o600,
			Size:    int64(len(file.content)),
			ModTime: r.madeAt,
		})
		if err == nil {
			_, err = archive.Write(file.content)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", file.Name, err)
		}
	}
	return cmp.Or(archive.Close(), zipped.Close())
}

// WriteText writes which files there are, and what could not be read. It returns the error of w.
func (r *Report) WriteText(w io.Writer) error {
	var text bytes.Buffer
	r.writeContents(&text)
	fmt.Fprintf(&text, "\n%s was written. Look through it before you pass it on.\n", r.Path)
	_, err := w.Write(text.Bytes())
	return err //nolint:wrapcheck // the caller's own writer
}

func (r *Report) writeContents(b *bytes.Buffer) {
	const padding = 3
	table := tabwriter.NewWriter(b, 0, 0, padding, ' ', 0)
	_, _ = fmt.Fprintln(table, "FILE\tBYTES")
	for _, file := range r.Files {
		_, _ = fmt.Fprintf(table, "%s\t%d\n", file.Name, file.Bytes)
	}
	_ = table.Flush() // a buffer does not fail
	if len(r.Missing) == 0 {
		return
	}
	b.WriteString("\nCould not be read:\n")
	for _, missing := range r.Missing {
		fmt.Fprintf(b, "  %s: %s\n", missing.What, missing.Reason)
	}
}
