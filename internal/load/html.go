package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
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
	var plots []template.HTML
	for _, f := range r.figures() {
		svg, err := f.svg()
		if err != nil {
			return err
		}
		plots = append(plots, svg)
	}
	if err := page.Execute(w, map[string]any{"Result": r, "Text": text.String(), "Plots": plots}); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}
