package main

import (
	"context"
	"io"

	"github.com/wsfleet/wsfleet/hack/bench/internal/measure"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
	"github.com/wsfleet/wsfleet/hack/bench/internal/suite"
)

// bench holds the options of one run of the command.
type bench struct {
	// bin and baseline are directories of binaries. output is the path of the result without its extension.
	bin, baseline, output string
	rounds                int
	targets               []string
	scenarios             []measure.Scenario
	settings              measure.Settings
	given                 map[string]string
	out, progress         io.Writer
}

// run measures the scenarios.
func (b *bench) run(ctx context.Context) error {
	s := &suite.Suite{
		Machine:      suite.Machine(ctx, b.bin),
		Settings:     b.given,
		Rounds:       b.rounds,
		Targets:      b.targets,
		ComparedWith: server.ComparedWith,
		Output:       b.output,
		Out:          b.out,
		Progress:     b.progress,
	}
	for _, scenario := range b.scenarios {
		s.Rows = append(s.Rows, suite.Row{
			Name:    scenario.Name,
			Figures: scenario.Figures,
			Suits:   scenario.For,
			Run: func(ctx context.Context, target string) (map[string]float64, error) {
				return scenario.Run(ctx, b.settings, target)
			},
		})
	}
	return s.Run(ctx)
}
