package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

// Page is a result as a page.
type Page struct {
	Title string
	// Problems say what was not as it should be.
	Problems []string
	// Text is the result as text.
	Text    string
	Figures []Figure
}

// Write writes the page, which loads nothing from elsewhere. It returns an error when a figure cannot be drawn or w
// fails.
func (p Page) Write(w io.Writer) error {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	plots, err := SVG(p.Figures)
	if err != nil {
		return err
	}
	if err := page.Execute(w, map[string]any{
		"Title": p.Title, "Problems": p.Problems, "Text": p.Text, "Plots": plots,
	}); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}
