package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/hack/bench/internal/suite"
)

func TestCommandRefusesBadCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"give 1 or more":          {"--rounds", "0"},
		"0 is no number":          {"--sizes", "10,0"},
		`no row is called "nope"`: {"--rows", "nope"},
		"unknown flag":            {"--nope"},
		"bench-operator --help":   {"nope"},
	} {
		root := newRoot()
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, &suite.UsageError{}, want)
	}
}
