// Package report has what packages load and simulate write their results with: figures, a page, and numbers as text.
package report
