package load

import (
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/report"
)

// WriteHTML writes the result as one self-contained page with plots. It returns an error when a plot cannot be drawn
// or w fails.
func (r *Result) WriteHTML(w io.Writer) error {
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return err
	}
	page := report.Page{
		Title: "wsfleet load " + string(r.Scenario), Problems: r.Failures, Text: text.String(), Figures: r.Figures(),
	}
	return page.Write(w) //nolint:wrapcheck // it names the page
}
