package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/figure"
)

//go:embed page.html
var pageText string

// WriteHTML writes the result as one self-contained page with plots. It returns an error when a plot cannot be drawn
// or w fails.
func (r *Result) WriteHTML(w io.Writer) error {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return err
	}
	plots, err := figure.SVG(r.figures())
	if err != nil {
		return err //nolint:wrapcheck // it names the plot
	}
	if err := page.Execute(w, map[string]any{"Result": r, "Text": text.String(), "Plots": plots}); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}
